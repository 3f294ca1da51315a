/* What stands for the dump layer in a build without audit records. */
#include "dump.h"
#include "log.h"

int dump_run(int argc, char **argv)
{
	(void)argc, (void)argv;
	log_error("dump: this flowlane was built without audit records; build it with -DFLOWLANE_NCAP=ON");
	return 2;
}
