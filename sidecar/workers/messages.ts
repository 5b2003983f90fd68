/** What a worker and the primary process say to each other, beside what prom-client says between them. */
export type ToPrimary = { ask: 'metrics'; id: number };
export type ToWorker = { metrics: string | undefined; id: number } | { stop: true };

/** The argument that tells a worker its number. */
export const NUMBER = '--worker=';
