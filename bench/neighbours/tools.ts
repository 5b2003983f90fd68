/** What the systems are started with. */
export interface Tools {
  /** The project's folder. */
  root: string;
  /** The Node that runs whatever of them runs on Node. */
  node: string;
  /** A folder of this run, removed at its end. */
  folder: string;
  /** Where CPU profiles of the sidecar are to be kept; undefined: none are made, because that takes time of its own. */
  profiles?: string | undefined;
  /** Finds or brings a program; its absolute path, of PostgreSQL the folder of its programs. */
  bring(name: 'wrk' | 'redis' | 'opa' | 'nginx' | 'envoyRatelimit' | 'postgres'): Promise<string>;
}
