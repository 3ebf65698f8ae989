#include "proxy/server/address_owner.h"

#include <dirent.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <memory>
#include <sstream>
#include <utility>

namespace baton::proxy {
namespace {

struct CloseDirectory {
  void operator()(DIR* directory) const { ::closedir(directory); }
};
using Directory = std::unique_ptr<DIR, CloseDirectory>;

std::string command_of(pid_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/comm");
  std::string name;
  std::getline(file, name);
  return name;
}

std::string describe(pid_t pid) {
  return (command_of(pid).empty() ? "a process" : command_of(pid)) + ", pid " + std::to_string(pid);
}

// An address as /proc/net/tcp and tcp6 print it: each 32-bit word in host order, in hexadecimal.
std::string proc_hex(const os::SocketAddress& address) {
  std::uint32_t words[4] = {};
  std::size_t count = 1;
  if (address.family() == AF_INET6) {
    count = 4;
    std::memcpy(words, &reinterpret_cast<const sockaddr_in6*>(address.data())->sin6_addr, 16);
  } else {
    std::memcpy(words, &reinterpret_cast<const sockaddr_in*>(address.data())->sin_addr, 4);
  }
  std::string text;
  for (std::size_t i = 0; i < count; ++i) {
    char word[9];
    std::snprintf(word, sizeof word, "%08X", words[i]);
    text += word;
  }
  return text;
}

bool is_wildcard(std::string_view hex) { return hex.find_first_not_of('0') == hex.npos; }

// Whether a listener on `theirs` keeps one on `ours` from being bound, ports being equal: the same
// address, or the wildcard on either side (a v6 wildcard may take v4 connections, too).
bool overlaps(std::string_view ours, std::string_view theirs) {
  if (is_wildcard(theirs)) return ours.size() <= theirs.size();
  return ours.size() == theirs.size() && (ours == theirs || is_wildcard(ours));
}

// In which state a socket receives from everybody, and whether those in that state come first.
struct SocketTable {
  const char* v4;
  const char* v6;
  std::string_view state;
  bool in_front;
};
// TCP_LISTEN; then perhaps many thousand others.
constexpr SocketTable kTcp{"/proc/net/tcp", "/proc/net/tcp6", "0A", true};
// TCP_CLOSE, as an unconnected UDP socket is called.
constexpr SocketTable kUdp{"/proc/net/udp", "/proc/net/udp6", "07", false};

// The links of such sockets that overlap, from one file of /proc/net.
void collect_sockets(const char* path, const SocketTable& table, const os::SocketAddress& address,
                     std::set<std::string>& links) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  while (std::getline(file, line)) {
    std::istringstream fields(line);
    std::string slot, local, remote, state, queues, timer, retransmits, uid, timeout, inode;
    fields >> slot >> local >> remote >> state >> queues >> timer >> retransmits >> uid >>
        timeout >> inode;
    const std::size_t colon = local.rfind(':');
    if (state != table.state && table.in_front) break;
    if (state != table.state || colon == std::string::npos) continue;
    if (std::strtoul(local.c_str() + colon + 1, nullptr, 16) != address.port()) continue;
    if (!overlaps(proc_hex(address), std::string_view(local).substr(0, colon))) continue;
    links.insert("socket:[" + inode + "]");
  }
}

// Which of these links a process holds.
std::set<std::string> held_by(pid_t pid, const std::set<std::string>& links) {
  std::set<std::string> held;
  const std::string path = "/proc/" + std::to_string(pid) + "/fd";
  const Directory directory(::opendir(path.c_str()));
  while (const dirent* entry = directory ? ::readdir(directory.get()) : nullptr) {
    char target[64];
    const ssize_t length =
        ::readlink((path + "/" + entry->d_name).c_str(), target, sizeof target - 1);
    if (length <= 0) continue;
    std::string link(target, static_cast<std::size_t>(length));
    if (links.contains(link)) held.insert(std::move(link));
  }
  return held;
}

AddressOwner find_owner(const SocketTable& table, const os::SocketAddress& address,
                        const std::set<pid_t>& but, V6Wildcards wildcards) {
  std::set<std::string> links;
  collect_sockets(table.v4, table, address, links);
  if (address.family() == AF_INET6 || wildcards == V6Wildcards::Count) {
    collect_sockets(table.v6, table, address, links);
  }
  for (const pid_t pid : but) {
    for (const std::string& link : held_by(pid, links)) links.erase(link);
  }
  if (links.empty()) return {.kind = AddressOwner::Kind::Nobody};
  const Directory processes(::opendir("/proc"));
  while (const dirent* entry = processes ? ::readdir(processes.get()) : nullptr) {
    const pid_t pid = std::atoi(entry->d_name);
    if (pid <= 0 || pid == ::getpid() || but.contains(pid)) continue;
    if (held_by(pid, links).empty()) continue;
    return {AddressOwner::Kind::Somebody, describe(pid)};
  }
  return {};
}

}  // namespace

AddressOwner find_tcp_owner(const os::SocketAddress& address, const std::set<pid_t>& but,
                            V6Wildcards wildcards) {
  return find_owner(kTcp, address, but, wildcards);
}

AddressOwner find_udp_owner(const os::SocketAddress& address, const std::set<pid_t>& but,
                            V6Wildcards wildcards) {
  return find_owner(kUdp, address, but, wildcards);
}

AddressOwner find_unix_owner(int connected_fd) {
  ucred peer{};
  socklen_t length = sizeof peer;
  if (::getsockopt(connected_fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) != 0 || peer.pid <= 0) {
    return {};
  }
  return {AddressOwner::Kind::Somebody, describe(peer.pid)};
}

}  // namespace baton::proxy
