#include "hash.h"

#include <sys/random.h>

#include "clock.h"

struct hash_seed hash_seed_random(void)
{
	struct hash_seed seed = HASH_SEED_FIXED, random;

	/* Early in boot there may be no random numbers yet: the time is a poor secret, but better than none. */
	if (getrandom(&random, sizeof(random), GRND_NONBLOCK) != (ssize_t)sizeof(random))
		random = (struct hash_seed){ { clock_monotonic_ns(), clock_process_cpu_ns(), (uintptr_t)&seed,
			clock_thread_cpu_ns() } };
	for (unsigned i = 0; i < 4; i++)
		seed.s[i] ^= random.s[i];
	return seed;
}
