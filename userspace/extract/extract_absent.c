/* What stands for the extract layer in a build without RocksDB. */
#include "extract.h"
#include "log.h"

int extract_run(int argc, char **argv)
{
	(void)argc, (void)argv;
	log_error("extract: this flowlane was built without RocksDB; build it with -DFLOWLANE_ROCKSDB=ON");
	return 2;
}
