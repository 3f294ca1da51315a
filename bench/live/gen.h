/* What live_gen and its XDP program agree on. Plain types, so that both compilers take it. */
#ifndef GEN_H
#define GEN_H

#define GEN_SIZE_MIN 64
#define GEN_SIZE_MAX 3072 /* a live frame has one page, with head room and what the kernel keeps in it */

/* Each frame's sequence number: its last eight bytes, big-endian. In a frame without payload that is behind the IP packet. */
#define GEN_SEQ_LEN 8

#define GEN_MOUSE 8 /* frames of a small flow, between elephants */

/* Where headers are, and what is behind them. */
#define GEN_IP          14
#define GEN_L4          34
#define GEN_TCP_HEADERS 54

/* Set before the program is loaded. */
struct gen_config {
	unsigned long long count;     /* frames in all; 0: no end */
	unsigned long long first_seq; /* sequence number of the first frame */
	unsigned int flows;
	unsigned int first_flow; /* so that two generators do not make the same flows */
	unsigned int size;       /* of data frames; those without payload have 64 bytes */
	unsigned int segments;   /* of data per TCP conversation and direction; 0: it never ends */
	unsigned int burst;      /* frames between two looks at the clock; 0: no rate */
	unsigned int burst_ns;   /* time for those */
	unsigned int tgid;       /* of live_gen: whose transmissions are counted */
	unsigned int
		elephants; /* of a hundred datagrams so many are of `flows`; the others of flows that end after GEN_MOUSE; 0: all */
	unsigned char tcp;
};

/* What the program keeps; live_gen reads it between two runs. All frames are made on one CPU, so nothing is atomic. */
struct gen_state {
	unsigned long long frames;   /* made, and handed to the link */
	unsigned long long bytes;    /* of those, without FCS */
	unsigned long long sent;     /* that the link took: tracepoint xdp_devmap_xmit */
	unsigned long long refused;  /* that it did not: the same tracepoint */
	unsigned long long first_ns; /* when the link was first given frames, CLOCK_MONOTONIC */
	unsigned long long last_ns;
	unsigned long long next_ns; /* when the next burst is due */
	unsigned long long idle;    /* slots in which no frame was due */
	unsigned int credit;        /* frames left of this burst */
	unsigned int flow;          /* of the next frame */
	unsigned int share;         /* of a hundred: an elephant's frame is due when it runs over */
	unsigned int mice;          /* frames of small flows so far */
	unsigned int conversation;  /* how many each flow had so far */
	unsigned int phase;         /* of all conversations */
	unsigned int phases;        /* of one conversation, 0: endless */
	/* the frames of this phase */
	unsigned int client_off; /* added to the initial sequence numbers of the two sides */
	unsigned int server_off;
	unsigned short len;
	unsigned char flags;
	unsigned char from_server;
	unsigned char is_mouse; /* this frame */
};

#endif
