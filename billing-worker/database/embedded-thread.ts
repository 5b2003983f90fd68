/**
 * The thread of the embedded PostgreSQL. PGlite blocks its thread while it works (60 ms per 1,000 rows), so decisions
 * in the same process must not share it. It speaks PostgreSQL's protocol on a Unix socket.
 * In: `workerData`. Out: the message 'ready'. A message from the parent closes it.
 */
import { once } from 'node:events';
import { parentPort, workerData } from 'node:worker_threads';
import { PGlite } from '@electric-sql/pglite';
import { PGLiteSocketServer } from '@electric-sql/pglite-socket';

const { folder, socketPath } = workerData as { folder: string; socketPath: string };

const db = await PGlite.create(folder);
const server = new PGLiteSocketServer({ db, path: socketPath });
await server.start();
parentPort?.postMessage('ready');
if (parentPort) await once(parentPort, 'message');
await server.stop();
await db.close();
process.exit(0);
