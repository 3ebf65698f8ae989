#include "supervisor/privileges.h"

#include <linux/capability.h>
#include <sys/prctl.h>

#include "shared/os/capabilities.h"
#include "shared/os/log.h"

namespace baton::supervisor {

void give_up_privileges() {
  ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  const auto kept = os::keep_capabilities({CAP_NET_BIND_SERVICE, CAP_DAC_OVERRIDE, CAP_SYS_PTRACE});
  if (!kept) log::warning("going on with all capabilities: {}", kept.error().text());
}

}  // namespace baton::supervisor
