import { type Fault, forAWhile } from './fault.ts';

const TABLES = ['usage_events', 'usage_rollups', 'dead_letters'] as const;

export const databaseFaults: readonly Fault[] = [
  {
    name: 'sessions of PostgreSQL terminated',
    run: async ({ sql }, dice) => {
      for (let times = dice.between(1, 4); times > 0; times--) {
        await sql`
          select pg_terminate_backend(pid) from pg_stat_activity
          where datname = current_database() and application_name <> 'checker' and pid <> pg_backend_pid()`;
        await forAWhile(dice, 10, 100);
      }
    },
  },
  {
    name: 'a table locked by somebody else',
    run: async ({ sql }, dice) => {
      await sql.begin(async (session) => {
        await session.unsafe(`lock table ${dice.pick(TABLES)} in access exclusive mode`);
        await forAWhile(dice, 50, 700);
      });
    },
  },
];
