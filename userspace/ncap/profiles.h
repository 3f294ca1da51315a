/*
 * IPProfile and DeviceProfile: what was seen of each address, and of each sender on the link. They are written at the end, or when the
 * tables are full, oldest first. Lists in them are bounded: the first ones seen stay.
 *
 *   profile of an address ─▶ items: its ports as a source, as a destination, its peers' ports; names
 *   device ─▶ items: addresses it used, addresses it sent to
 *
 * profiles: lane's thread; profiles_merge: control thread, but profiles_merge_add().
 */
#ifndef FLOWLANE_NCAP_PROFILES_H
#define FLOWLANE_NCAP_PROFILES_H

#include "ncap_files.h"
#include "audit_record.h"

struct profiles;
struct profiles_merge;

struct profiles_options {
	bool addresses;
	bool devices;
	bool live;
	struct encoder *encoder;
	struct ncap_writer *writer;
};

int profiles_create(const struct profiles_options *options, struct profiles **profiles); /* 0 or -ENOMEM */
void profiles_destroy(struct profiles *profiles);                                        /* accepts NULL */
void profiles_add(struct profiles *profiles, const struct ncap_walk *walk);
uint64_t profiles_evicted(const struct profiles *profiles);

int profiles_merge_create(struct profiles_merge **merge);
void profiles_merge_destroy(struct profiles_merge *merge); /* accepts NULL; with the profiles in it */
/* A lane's, which are the merge's from now on. Any thread. */
void profiles_merge_add(struct profiles_merge *merge, struct profiles *profiles);
/* Adds up what lanes know of the same address, and writes all. */
void profiles_merge_write(struct profiles_merge *merge, struct encoder *encoder, struct ncap_writer *writer);

#endif
