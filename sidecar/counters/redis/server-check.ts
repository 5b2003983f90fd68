import { ConfigError } from '../../../runtime/config/config-error.ts';
import type { Log } from '../../../runtime/log.ts';
import { CountersUnavailable } from '../contract.ts';
import { type Ask, type Fault, faultsOf, readSettings, type ServerSettings, WANTED } from './server-settings.ts';

/** A server that stays connected is looked at this often. */
export const CHECK_MS = 30_000;

interface ServerCheckDeps {
  /** Names the server in messages; without a password. */
  server: string;
  /** A server that may forget what was used will do. */
  allowVolatile: boolean;
  /** It is reached as a node of a cluster. */
  inCluster?: boolean;
  log: Log;
}

/**
 * Looks at the server itself: at the start, on each new connection, and now and then. One that is unfit is not started on.
 * One that turns out unfit later (a failover, a `CONFIG SET`) is said in the log and by `assertFit`, and decisions go
 * on: the process would not come up again, and every decision would be refused for a server that still counts.
 */
export class ServerCheck {
  readonly #deps: ServerCheckDeps;
  readonly #warned = new Set<string>();
  #started = false;
  #unfit: string[] = [];

  constructor(deps: ServerCheckDeps) {
    this.#deps = deps;
  }

  /** Throws `ConfigError` if the first server that it sees is unfit; whatever `ask` throws where it cannot tell. */
  async check(ask: Ask): Promise<void> {
    const settings = await readSettings(ask);
    const faults = faultsOf(settings, this.#deps.inCluster);
    const accepted = faults.filter((fault) => this.#accepts(fault));
    const unfit = faults.filter((fault) => !this.#accepts(fault)).map((fault) => this.#problem(fault));
    if (unfit.length && !this.#started) throw new ConfigError(unfit);
    this.#started = true;
    for (const { what } of accepted) this.#warnOnce(`${what}; accepted, because ALLOW_VOLATILE_STORE is 1`);
    for (const wanted of untold(settings)) this.#warnOnce(`it does not tell, and cannot be checked: ${wanted}`);
    this.#sayChange(unfit);
  }

  /** Throws `CountersUnavailable` while the server is unfit. */
  assertFit(): void {
    if (this.#unfit.length) throw new CountersUnavailable(this.#unfit.join('\n'));
  }

  #accepts({ kind }: Fault): boolean {
    return kind === 'volatile' && this.#deps.allowVolatile;
  }

  #problem({ kind, mend, what }: Fault): string {
    const way = kind === 'volatile' ? `${mend}; or set ALLOW_VOLATILE_STORE=1 if it may forget` : mend;
    return this.#about(`${what}; ${way}`);
  }

  #sayChange(unfit: string[]): void {
    for (const problem of unfit) if (!this.#unfit.includes(problem)) this.#deps.log.error(problem);
    if (this.#unfit.length && !unfit.length) this.#deps.log.info(this.#about('its settings are right again'));
    this.#unfit = unfit;
  }

  #warnOnce(what: string): void {
    if (!this.#warned.has(what)) this.#deps.log.warn(this.#about(what));
    this.#warned.add(what);
  }

  #about(what: string): string {
    return `Redis at ${this.#deps.server}: ${what}`;
  }
}

const untold = (settings: ServerSettings) =>
  (['version', 'eviction', 'appendOnly'] as const)
    .filter((name) => settings[name] === undefined)
    .map((name) => WANTED[name]);
