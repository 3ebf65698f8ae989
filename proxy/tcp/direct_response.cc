#include "proxy/tcp/direct_response.h"

#include <memory>

#include "proxy/text/variables.h"

namespace baton::proxy {

FilterStatus DirectResponse::on_new_connection() {
  Buffer answer;
  answer.append(body_);
  callbacks_.write(answer, EndOfStream::Yes);
  callbacks_.close(CloseMode::Linger);
  return FilterStatus::Continue;
}

MakeNetworkFilter DirectResponseFactory::bind(const FilterContext& context) const {
  const auto body = std::make_shared<const std::string>(
      replace_process_variables(body_, context.generation, context.version));
  return [body](NetworkFilterCallbacks& callbacks) {
    return std::make_unique<DirectResponse>(callbacks, *body);
  };
}

}  // namespace baton::proxy
