// Where an HTTP listener logs its requests, and how.
// Thread: any; immutable once load_config() has returned it.
#pragma once

#include <memory>
#include <string>

namespace baton::proxy::http {

class AccessLogFormat;  // proxy/http/access_log/access_log_format.h

struct AccessLogConfig {
  static constexpr const char* kStdout = "stdout";

  std::string path;  // absolute, or kStdout
  std::shared_ptr<const AccessLogFormat> format;
};

}  // namespace baton::proxy::http
