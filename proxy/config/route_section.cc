#include "proxy/config/route_section.h"

#include "proxy/config/header_edits_section.h"
#include "proxy/config/route_action_section.h"
#include "proxy/config/route_match_section.h"

namespace baton::proxy {

http::Route read_route(TableReader& section, UniqueNames& names) {
  http::Route route;
  if (section.has("name")) route.name = names.take(section);
  route.match = read_route_match(section);
  route.action = read_route_action(section);
  route.request_headers = read_header_edits(section, "request_headers", EditedHead::Request);
  route.response_headers = read_header_edits(section, "response_headers", EditedHead::Response);
  section.finish();
  return route;
}

}  // namespace baton::proxy
