/** Whether tests are to be as long as they may be: `npm run test:full`, `npm run test:faults`. `npm test` runs a short version of the same. */
export const fullLength = process.env.TEST_LENGTH === 'full';
