/**
 * A token bucket in exact arithmetic, to hold `sidecar/counters/token-bucket.ts` and its like against. Written from
 * what they promise and not from how they work: what is in use is one rational number, a wait is found by trying.
 */
export interface ModelRule {
  amount: number;
  per_seconds: number;
  mode: 'continuous' | 'interval';
}

export interface ModelCharge {
  amount: bigint;
  /** Which stretch between two full buckets it belongs to. */
  life: symbol;
  /** How much has to be refilled in that life before refill begins to pay this charge. */
  place: bigint;
}

const LARGEST = 2n ** 53n - 1n;

export class BucketModel {
  readonly #rule: ModelRule;
  /** One token in the unit that everything is counted in: in a millisecond, `amount` of these are refilled. */
  readonly #token: bigint;
  #inUse = 0n;
  #refilled = 0n;
  #life = Symbol();
  /** Up to when refill is counted: in interval mode, when the running interval began. */
  #countedTo = 0;
  /** The highest threshold that was announced since the bucket was last full, in percent. */
  #announced = 0;

  constructor(rule: ModelRule) {
    this.#rule = rule;
    this.#token = BigInt(rule.per_seconds) * 1000n;
  }

  /** Whole tokens in use. One that is refilled in part is in use. */
  get used(): bigint {
    return (this.#inUse + this.#token - 1n) / this.#token;
  }

  get announced(): number {
    return this.#announced;
  }

  announce(percent: number): void {
    this.#announced = percent;
  }

  /** Up to when refill is counted; of a full bucket `now`. */
  countedTo(now: number): number {
    return this.#inUse === 0n ? now : this.#countedTo;
  }

  /** The bucket as it is at `now`, of whatever rule from now on: the part of a token that was refilled stays below one. */
  at(now: number, rule = this.#rule): BucketModel {
    const then = new BucketModel(rule);
    const part = this.used * this.#token - this.#inUse;
    const kept = part < then.#token ? part : then.#token - 1n;
    then.#inUse = this.used * then.#token - kept;
    then.#refilled = (this.#refilled / this.#token) * then.#token + kept;
    then.#life = this.#life;
    then.#countedTo = this.#countedTo;
    then.#announced = this.#announced;
    then.#refill(now);
    return then;
  }

  /** Time before what was counted already brings nothing. */
  #refill(now: number): void {
    const elapsed = now - this.#countedTo;
    if (this.#inUse === 0n || elapsed <= 0) return;
    const period = this.#rule.per_seconds * 1000;
    const counted = this.#rule.mode === 'interval' ? elapsed - (elapsed % period) : elapsed;
    if (counted === 0) return;
    this.#countedTo += counted;
    this.#pay(BigInt(counted) * BigInt(this.#rule.amount));
    if (this.#rule.mode === 'interval') this.#dropPart();
  }

  /** Where whole amounts are refilled, what another rule had refilled of one token is worth nothing. */
  #dropPart(): void {
    this.#inUse = this.used * this.#token;
    this.#refilled -= this.#refilled % this.#token;
  }

  #pay(paid: bigint): void {
    if (paid >= this.#inUse) {
      this.#full();
      return;
    }
    this.#inUse -= paid;
    this.#refilled += paid;
    // More than can be told exactly was refilled: it is counted anew, and older charges have nothing left.
    if (this.#refilled / this.#token <= LARGEST) return;
    this.#refilled %= this.#token;
    this.#life = Symbol();
  }

  #full(): void {
    this.#inUse = 0n;
    this.#refilled = 0n;
    this.#life = Symbol();
    this.#announced = 0;
  }

  /** The first charge of a full bucket begins its time. */
  charge(amount: number, now: number): ModelCharge {
    if (this.#inUse === 0n) this.#countedTo = now;
    const charge = {
      amount: BigInt(amount),
      life: this.#life,
      place: this.#refilled / this.#token + this.used,
    };
    const over = this.used + charge.amount - LARGEST;
    this.#inUse += (over > 0n ? charge.amount - over : charge.amount) * this.#token;
    return charge;
  }

  /** Up to `amount` of a charge, less what refill has paid of it, oldest charge first. */
  giveBack(charge: ModelCharge, amount: bigint): void {
    if (charge.life !== this.#life) return;
    const reached = this.#refilled / this.#token;
    const paid = reached > charge.place ? reached - charge.place : 0n;
    const open = charge.amount > paid ? charge.amount - paid : 0n;
    const given = (amount < open ? amount : open) * this.#token;
    if (given >= this.#inUse) this.#full();
    else this.#inUse -= given;
  }

  /** The least number of milliseconds after which at most `target` is in use; `atMost` if that is longer. */
  waitUntil(target: bigint, now: number, atMost: number): number {
    const enough = (wait: number) => this.at(now + wait).used <= target;
    if (enough(0)) return 0;
    let [short, long] = [0, atMost];
    while (long - short > 1) {
      const middle = Math.floor((short + long) / 2);
      if (enough(middle)) long = middle;
      else short = middle;
    }
    return long;
  }
}
