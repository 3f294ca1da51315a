/* What the files of a capture share. Control thread. */
#ifndef FLOWLANE_CAPTURE_INTERNAL_H
#define FLOWLANE_CAPTURE_INTERNAL_H

#include "afxdp_source.h"
#include "capture.h"
#include "nic.h"
#include "xdp.h"
#include "xsk.h"

/* How an interface's frames come: the rungs of a ladder, from the best down. */
enum capture_rung { RUNG_ZEROCOPY, RUNG_COPY, RUNG_GENERIC, RUNG_COUNT };

struct capture_queue {
	unsigned number;    /* of the RX queue */
	unsigned interface; /* index */
	struct xsk_queue sockets;
};

struct capture_interface {
	struct nic_info info; /* as it was found; after nic_prepare(): as it is */
	struct nic *nic;
	struct xdp *xdp;
	struct afxdp_port port;
	struct busy_poll *busy; /* NULL: none */
	int phc;                /* the NIC's clock, if its time stamps are used; else -1 */
	enum capture_rung rung;
	bool filters;         /* the filter expression is in the program ... */
	char filter_why[192]; /* ... or why it is not */
	int no_zerocopy;      /* why not, a negative errno; 0: not tried, or it worked */
	bool bound;
	bool frags;            /* frames may take several buffers */
	uint32_t frame_bytes;  /* of a buffer */
	uint32_t frames;       /* buffers of each queue */
	uint32_t longest;      /* bytes of the longest frame */
	unsigned first, count; /* its queues, in capture.queue[] */

	/* watch */
	bool down, gone, no_socket_said;
	struct nic_counters nic_start, nic_last;
	struct busy_poll_watch {
		uint64_t seen, missed; /* at the last look */
		int64_t ahead;         /* packets that the NIC has counted more than the program, at most */
		unsigned missed_looks; /* at which `missed` had moved, since a packet was seen */
	} busy_watch;
};

struct capture {
	const struct config *config;
	struct capture_selection selection;
	unsigned fanout;
	uint64_t hash_seed;
	unsigned interfaces;
	struct capture_interface interface[CAPTURE_INTERFACES_MAX];
	unsigned queues;
	struct capture_queue queue[CAPTURE_QUEUES_MAX];
	unsigned lanes;              /* queues * fanout, once the sources are there */
	struct afxdp_source *source; /* [lanes] */
	struct capture_cutoff {
		const struct capture *capture;
		const struct capture_interface *interface;
		struct cutoff_counts *per_cpu; /* room for one look */
	} cutoff[CAPTURE_LANES_MAX];           /* with --flow-cutoff */
	uint32_t sample;                       /* as it is now; what a program begins with */
	int cpu[CAPTURE_LANES_MAX];
	struct live_clock clock;
	bool attached, ended, clock_said;
};

/* --- capture_check.c: may it work? Each failure is one sentence with the fix; 0 or a negative errno. ------------------------ */

int check_system(void);
/* Fills interface->info, and adds the interface's queues. */
int check_interface(struct capture *capture, struct capture_interface *interface, const char *name);
/* Buffers: their size for this MTU, their number for these rings. */
int check_buffers(const struct capture *capture, struct capture_interface *interface);
int check_memory(const struct capture *capture);
/* "6.6" is kernel_at_least(6, 6). */
bool kernel_at_least(unsigned major, unsigned minor);
void say_other_program(const struct nic_info *info);

/* --- capture_bind.c: program and sockets of an interface --------------------------------------------------------------------- */

int interface_open(struct capture *capture, struct capture_interface *interface);
/* The program last; down the ladder if it must. */
int interface_attach(struct capture *capture, struct capture_interface *interface);
/* Its lanes look at their rings from now on, or for the last time. */
void interface_set_phase(struct capture_interface *interface, enum afxdp_phase phase);
void interface_close(struct capture *capture, struct capture_interface *interface);

/* --- capture_select.c ------------------------------------------------------------------------------------------------------- */

/* What each lane asks the program's maps with, if there is a cutoff. */
int capture_open_cutoff(struct capture *capture);

/* --- capture_cpus.c ------------------------------------------------------------------------------------------------------------ */

/* Fills capture->cpu[]. 0, or a negative errno, logged: --cpus is wrong. */
int choose_cpus(struct capture *capture);

/* --- capture_watch.c ----------------------------------------------------------------------------------------------------------- */

/* Remembers where the NIC's counters stand. */
void watch_start(struct capture_interface *interface);
void watch_nic(struct capture_interface *interface);
bool watch_interface(struct capture *capture, struct capture_interface *interface);

#endif
