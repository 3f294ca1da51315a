/*
 * What live capture may do, and giving it up. Linux capabilities belong to threads, so all this is for the control thread before it
 * starts others: they inherit what it has then.
 */
#ifndef FLOWLANE_PRIVILEGES_H
#define FLOWLANE_PRIVILEGES_H

#include <stdbool.h>
#include <stddef.h>

/*
 * What `setcap` is to be given. CAP_PERFMON because the XDP program computes with pointers, which the kernel's verifier allows only then;
 * CAP_IPC_LOCK because without it UMEMs count against RLIMIT_MEMLOCK (8 MiB).
 */
#define PRIVILEGES_SETCAP "cap_net_admin,cap_net_raw,cap_bpf,cap_perfmon,cap_ipc_lock+ep"

/* Whether there is such a user. 0, or -EINVAL, logged. For before anything is opened. */
int privileges_check_user(const char *user);

/*
 * After setup: becomes `user` with that user's groups (NULL: stays who it is), and keeps no capability but
 *   CAP_NET_ADMIN     with keep_net_admin: settings of a NIC are to be put back at the end;
 *   CAP_BPF           where reading a BPF map, as counters are, needs it (before Linux 5.19, with unprivileged_bpf_disabled);
 *   CAP_DAC_OVERRIDE  for a root that stays root: outputs are often in a directory of the user who called sudo, and are
 *                     renamed and rotated there.
 * Nothing that is executed later can gain any (PR_SET_NO_NEW_PRIVS). That it worked is verified. Threads that run already become
 * `user` too, and lose all capabilities by that, but keep them if `user` is NULL. 0, or a negative errno, logged as a sentence
 * (-EINVAL: no such user): then the process is not to go on.
 */
int privileges_drop(const char *user, bool keep_net_admin);

/* Names what live capture needs and this thread lacks: "CAP_NET_RAW, CAP_BPF"; "" nothing. How many. */
unsigned privileges_missing(char *text, size_t size);

/* Whether this thread has the capability (CAP_* of linux/capability.h) in effect. */
bool privileges_have(unsigned capability);

#endif
