#include "proto/negotiation.h"
#include "proxy/server/proxy_main.h"
#include "shared/region/layout.h"
#include "shared/version.h"

int main(int argc, char** argv) {
  using namespace baton;
  return proxy::proxy_main(
      argc, argv,
      {.version = kVersion,
       .region_layout = region::kLayoutVersion,
       .features = {std::string(proto::kFeatureListeners), std::string(proto::kFeatureMove),
                    std::string(proto::kFeatureSessions), std::string(proto::kFeatureReturn),
                    std::string(proto::kFeatureFollow), std::string(proto::kFeatureStatsDelta),
                    std::string(proto::kFeatureNarrower)}});
}
