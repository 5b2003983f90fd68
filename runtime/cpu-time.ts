/** Milliseconds of CPU that this process has had, on all its threads together. */
export type CpuTime = () => number;

export const processCpuTime: CpuTime = () => {
  const { system, user } = process.cpuUsage();
  return (system + user) / 1_000;
};
