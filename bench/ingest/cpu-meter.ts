import { readFile } from 'node:fs/promises';
import type { Sql } from 'postgres';

/** Of Linux, where the server's processes can be looked at: clock ticks are 10 ms. */
const TICK_MS = 10;

/** CPU time of this process and of the server's processes for this database; of a server elsewhere it is 0. */
export class CpuMeter {
  readonly #sql: Sql;

  constructor(sql: Sql) {
    this.#sql = sql;
  }

  /** In milliseconds. */
  async of(work: () => Promise<void>): Promise<{ node: number; server: number }> {
    const [before, node] = [await this.#ticks(), process.cpuUsage()];
    await work();
    const { system, user } = process.cpuUsage(node);
    const used = [...(await this.#ticks())].map(([pid, ticks]) => ticks - (before.get(pid) ?? 0));
    return { node: (user + system) / 1_000, server: used.reduce((sum, each) => sum + each, 0) * TICK_MS };
  }

  async #ticks(): Promise<Map<number, number>> {
    const backends = await this.#sql`select pid from pg_stat_activity where datname = current_database()`;
    return new Map(await Promise.all(backends.map(async ({ pid }) => [pid, await ticksOf(pid)] as const)));
  }
}

async function ticksOf(pid: number): Promise<number> {
  const text = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
  if (!/^\d+ \(postgres\)/.test(text)) return 0;
  const [user, system] = text
    .slice(text.lastIndexOf(')') + 2)
    .split(' ')
    .slice(11, 13);
  return Number(user) + Number(system);
}
