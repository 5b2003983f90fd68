import { type Database, openDatabase } from '../../billing-worker/database/open.ts';
import { createLog } from '../../runtime/log.ts';
import { fullLength } from '../helpers/full-length.ts';
import { createDatabase } from '../helpers/postgres.ts';
import { tempDir } from '../helpers/temp-dir.ts';
import { atTestEnd } from '../helpers/test-end.ts';

export const silent = createLog('silent');

/** The databases that every promise of the ledger is shown on. Each opens an empty one, closed with the test or file. */
export const DATABASES: { name: string; open: () => Promise<Database> }[] = [
  {
    name: 'PostgreSQL',
    open: async () => {
      const { drop, url } = await createDatabase();
      atTestEnd(drop);
      return closedAtEnd(await openDatabase({ databaseUrl: url, dataDir: '/nonexistent', log: silent }));
    },
  },
  {
    name: 'PGlite',
    open: async () => closedAtEnd(await openDatabase({ dataDir: await tempDir('data'), log: silent })),
  },
];

/** Where a promise rests on SQL that other tests show to be the same on both: the short version asks a server alone. */
export const SOME_DATABASES = fullLength ? DATABASES : DATABASES.slice(0, 1);

function closedAtEnd(database: Database): Database {
  atTestEnd(() => database.close());
  return database;
}
