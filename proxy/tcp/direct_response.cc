#include "proxy/tcp/direct_response.h"

#include <memory>
#include <utility>

namespace baton::proxy {

FilterStatus DirectResponse::on_new_connection() {
  Buffer answer;
  answer.append(body_);
  callbacks_.write(answer, EndOfStream::Yes);
  callbacks_.close(CloseMode::Linger);
  return FilterStatus::Continue;
}

std::string DirectResponseFactory::render(std::string_view body, std::uint64_t generation,
                                          std::string_view version) {
  const std::string number = std::to_string(generation);
  const std::pair<std::string_view, std::string_view> variables[] = {{"%GENERATION%", number},
                                                                     {"%VERSION%", version}};
  std::string text;
  while (!body.empty()) {
    bool replaced = false;
    for (const auto& [name, value] : variables) {
      if (!body.starts_with(name)) continue;
      text += value;
      body.remove_prefix(name.size());
      replaced = true;
      break;
    }
    if (replaced) continue;
    text += body.front();
    body.remove_prefix(1);
  }
  return text;
}

MakeNetworkFilter DirectResponseFactory::bind(const FilterContext& context) const {
  const auto body =
      std::make_shared<const std::string>(render(body_, context.generation, context.version));
  return [body](NetworkFilterCallbacks& callbacks) {
    return std::make_unique<DirectResponse>(callbacks, *body);
  };
}

}  // namespace baton::proxy
