// Whatever a configuration file holds, the loader answers with a configuration or with lines that
// name the file.
#include "proxy/config/load_config.h"
#include "tests/fuzz/pieces.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using baton::fuzz::require;
  const baton::fuzz::ExactCopy bytes({reinterpret_cast<const char*>(data), size});
  const auto config = baton::proxy::load_config(bytes.view(), "fuzz.toml");
  if (config) return 0;
  require(!config.error().empty());
  for (const auto& error : config.error()) require(!error.message.empty());
  return 0;
}
