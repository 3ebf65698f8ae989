// Reads one [[listener]].
// Thread: main.
#pragma once

#include "proxy/config/config.h"
#include "proxy/config/listening_addresses.h"
#include "proxy/config/table_reader.h"
#include "proxy/config/unique_names.h"

namespace baton::proxy {

// Complete only when no mistake has been recorded.
ListenerConfig read_listener(TableReader& section, UniqueNames& names,
                             ListeningAddresses& addresses);

}  // namespace baton::proxy
