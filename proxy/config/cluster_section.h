// Reads one [[cluster]].
// Thread: main.
#pragma once

#include "proxy/config/config.h"
#include "proxy/config/table_reader.h"
#include "proxy/config/unique_names.h"

namespace baton::proxy {

// Complete only when no mistake has been recorded.
ClusterConfig read_cluster(TableReader& section, UniqueNames& names);

}  // namespace baton::proxy
