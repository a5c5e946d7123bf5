import cron, { type ScheduledTask } from 'node-cron'
import type { Logger } from 'pino'

/** Work that nobody asks for. It decides itself whether there is anything to do, and may run twice at once elsewhere. */
export interface Job {
  readonly name: string
  run (): Promise<unknown>
}

export interface SchedulerOptions {
  readonly logger: Logger
  readonly everyMs: readonly (Job & { readonly periodMs: number })[]
  /** Expressions are node-cron's, in UTC. */
  readonly cron: readonly (Job & { readonly expression: string })[]
}

/** Runs jobs on time; a job that is still running is not started again. Only decides when, never what. */
export function createScheduler ({ logger, everyMs, cron: scheduled }: SchedulerOptions) {
  const timers: NodeJS.Timeout[] = []
  const tasks: ScheduledTask[] = []
  const running = new Map<Job, Promise<void>>()
  const failing = new Set<Job>()

  function run (job: Job): void {
    if (running.has(job)) return
    const done = job.run()
      .then(() => {
        if (failing.delete(job)) logger.info({ job: job.name }, 'a job works again')
      }, (error: unknown) => {
        if (!failing.has(job)) logger.error({ job: job.name, err: error }, 'a job failed')
        failing.add(job)
      })
      .finally(() => running.delete(job))
    running.set(job, done)
  }

  return {
    start (): void {
      for (const job of everyMs) timers.push(setInterval(() => run(job), job.periodMs))
      for (const job of scheduled) tasks.push(cron.schedule(job.expression, () => run(job), { timezone: 'Etc/UTC' }))
    },
    /** Starts nothing more, and waits for what runs. */
    async stop (): Promise<void> {
      for (const timer of timers) clearInterval(timer)
      for (const task of tasks) await task.destroy()
      await Promise.all(running.values())
    }
  }
}
