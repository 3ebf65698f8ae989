#include "proxy/http/route/header_edits.h"

#include <string>

#include "proxy/text/variables.h"

namespace baton::proxy::http {
namespace {

constexpr std::string_view kClientAddress = "%CLIENT_ADDRESS%";
constexpr std::string_view kGeneration = "%GENERATION%";

std::string value_of(const HeaderEdit& edit, const EditVariables& variables) {
  const std::string client = variables.client.ip_text();
  const std::string generation = std::to_string(variables.generation);
  const Variable values[] = {{.name = kClientAddress, .value = client},
                             {.name = kGeneration, .value = generation}};
  return replace_variables(edit.value, values);
}

}  // namespace

bool names_variables(std::string_view value) {
  return value.find(kClientAddress) != value.npos || value.find(kGeneration) != value.npos;
}

void HeaderEdits::apply(RequestHead& head, const EditVariables& variables) const {
  for (const std::string& name : remove) head.headers.remove_lookalikes(name);
  for (const HeaderEdit& edit : set) head.headers.remove_lookalikes(edit.name);
  apply_to(head.headers, variables);
}

void HeaderEdits::apply(ResponseHead& head, const EditVariables& variables) const {
  apply_to(head.headers, variables);
}

void HeaderEdits::apply_to(HeaderMap& headers, const EditVariables& variables) const {
  for (const std::string& name : remove) headers.remove(name);
  for (const HeaderEdit& edit : set) {
    headers.set(edit.name, edit.has_variables ? value_of(edit, variables) : edit.value);
  }
  for (const HeaderEdit& edit : add) {
    if (edit.has_variables) {
      headers.add(edit.name, value_of(edit, variables));
    } else {
      headers.add_borrowed(edit.name, edit.value);
    }
  }
}

}  // namespace baton::proxy::http
