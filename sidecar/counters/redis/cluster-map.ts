import { ErrorReply } from 'redis';
import { SLOTS } from './cluster-slot.ts';

/** Where a node is: `host:port`, as in a URL. */
export type Address = string;

/** Which master holds which slot, as far as it is known. */
export class SlotMap {
  #owners: (Address | undefined)[] = [];
  #masters = new Set<Address>();

  get masters(): ReadonlySet<Address> {
    return this.#masters;
  }

  /** Whether every slot has an owner. */
  get whole(): boolean {
    for (let slot = 0; slot < SLOTS; slot++) if (this.#owners[slot] === undefined) return false;
    return true;
  }

  ownerOf(slot: number): Address | undefined {
    return this.#owners[slot];
  }

  move(slot: number, to: Address): void {
    this.#owners[slot] = to;
    this.#masters.add(to);
  }

  /** Takes over what the node at `asked` answers to `CLUSTER SLOTS`. */
  replace(reply: unknown, asked: Address): void {
    this.#owners = [];
    this.#masters = new Set();
    for (const [from, to, [host, port]] of reply as [number, number, [string | null, number]][]) {
      const owner = addressOf(host, port, asked);
      this.#masters.add(owner);
      for (let slot = from; slot <= to; slot++) this.#owners[slot] = owner;
    }
  }
}

/** Why a node did not even begin with a command: it may be sent again, to `address` if there is one. */
export type Refusal = { kind: 'moved' | 'ask'; address: Address } | { kind: 'later' };

/** Reads what the node at `asked` answered. Undefined for everything else: the command may have been carried out. */
export function readRefusal(error: unknown, asked: Address): Refusal | undefined {
  if (!(error instanceof ErrorReply)) return undefined;
  if (/^(TRYAGAIN|CLUSTERDOWN)\b/.test(error.message)) return { kind: 'later' };
  const [, code, host, port] = /^(MOVED|ASK) \d+ (.*):(\d+)$/.exec(error.message) ?? [];
  if (!code) return undefined;
  return { kind: code === 'ASK' ? 'ask' : 'moved', address: addressOf(host, Number(port), asked) };
}

/** A node that does not know the other's host leaves it out, or says `?`: then it is that of the one who was asked. */
function addressOf(host: string | null | undefined, port: number, asked: Address): Address {
  if (!host || host === '?') return `${asked.slice(0, asked.lastIndexOf(':'))}:${port}`;
  return `${host.includes(':') ? `[${host}]` : host}:${port}`;
}
