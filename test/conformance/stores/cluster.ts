import { pino } from 'pino';
import { Registry } from 'prom-client';
import { createClient } from 'redis';
import { openClusterStream } from '../../../billing-worker/stream/cluster.ts';
import { type Clock, systemClock } from '../../../runtime/clock.ts';
import { CLUSTER_PARTITIONS } from '../../../schemas/usage-stream.ts';
import { ClusterStore } from '../../../sidecar/counters/cluster/store.ts';
import type { CounterSettings } from '../../../sidecar/counters/contract.ts';
import { type ClusterConnection, connectCluster } from '../../../sidecar/counters/redis/cluster-connection.ts';
import { loadScripts } from '../../../sidecar/counters/redis/scripts.ts';
import { SETTINGS } from '../../helpers/counter-settings.ts';
import { type RedisCluster, startRedisCluster } from '../../helpers/redis-cluster.ts';
import { atTestEnd } from '../../helpers/test-end.ts';
import type { OpenedStore } from '../workbench.ts';
import { clusterClock, SET_CLUSTER_CLOCK } from './cluster-clock.ts';

type Control = Pick<ReturnType<typeof createClient>, 'sendCommand' | 'close'>;

const log = pino({ level: 'silent' });
const TIMEOUT_MS = 10_000;

/** Provider accounts that a test may share with: each has a clock of its own. */
const ACCOUNTS = ['anthropic', 'openai'];
const TAGS = [
  ...Array.from({ length: CLUSTER_PARTITIONS }, (_, partition) => `{p${partition}}`),
  ...ACCOUNTS.map((account) => `{s:${account}}`),
];

/** Stores on one real Redis Cluster of three masters, which each of them finds empty: one at a time. */
export class ClusterStores {
  readonly cluster: RedisCluster;
  /** One to each node. */
  readonly #controls: Control[];
  /** Of all stores: to connect anew for each was most of what a test took. */
  readonly #connection: ClusterConnection;

  private constructor(cluster: RedisCluster, controls: Control[], connection: ClusterConnection) {
    this.cluster = cluster;
    this.#controls = controls;
    this.#connection = connection;
  }

  /** The servers end with the test, or with the file that calls this in a `beforeAll`. */
  static async start(): Promise<ClusterStores> {
    const cluster = await startRedisCluster();
    const controls = cluster.urls.map((url) => createClient({ url }));
    // A server may end first.
    for (const control of controls) control.on('error', () => {});
    await Promise.all(controls.map((control) => control.connect()));
    const connection = await connectCluster(cluster.urls, TIMEOUT_MS, log);
    atTestEnd(() => Promise.all([...controls, connection].map((each) => each.close())));
    return new ClusterStores(cluster, controls, connection);
  }

  #sendAll(command: string[]): Promise<unknown[]> {
    return Promise.all(this.#controls.map((control) => control.sendCommand(command)));
  }

  open(settings: Partial<CounterSettings> = {}): Promise<OpenedStore> {
    return this.#open({}, systemClock, settings);
  }

  /** With a clock that a test sets. `caller` is the clock of the process that asks. */
  async openWithClock(caller: Clock = systemClock, settings: Partial<CounterSettings> = {}): Promise<OpenedStore> {
    const opened = await this.#open({ now: SET_CLUSTER_CLOCK }, caller, settings);
    return { ...opened, clock: await clusterClock((command) => this.#sendAll(command), TAGS) };
  }

  async #open(
    replace: Record<string, string>,
    caller: Clock,
    settings: Partial<CounterSettings>,
  ): Promise<OpenedStore> {
    const { urls } = this.cluster;
    await this.#sendAll(['FLUSHALL']);
    const scripts = loadScripts(replace);
    const storeOn = (connection: ClusterConnection) =>
      new ClusterStore({ connection, scripts, clock: caller, settings: { ...SETTINGS, ...settings } });
    const stores: ClusterStore[] = [];
    const another = async () => {
      const store = storeOn(await connectCluster(urls, TIMEOUT_MS, log));
      stores.push(store);
      return store;
    };
    const store = storeOn(this.#connection);
    const registry = new Registry();
    const stream = openClusterStream({ urls, clock: systemClock, consumer: 'test', registry, log });
    const close = async () => {
      await Promise.all([...stores, stream].map((each) => each.close()));
    };
    const flushScripts = () => this.#sendAll(['SCRIPT', 'FLUSH']);
    // Of the nodes, only the one that holds the keys takes it.
    const send = (command: string[]) => Promise.any(this.#controls.map((control) => control.sendCommand(command)));
    // A node that is slow is not waited for by the others' entries: those come with a later read.
    return { store, stream, another, send, flushScripts, silentMs: 60, close };
  }
}
