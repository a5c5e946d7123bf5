import type { Clock } from '../core/clock.ts'
import { pathOf, type Entry, type Store } from '../core/store.ts'

/** Deals with due records of one kind; what it leaves comes due again. Must bear being repeated. */
export type DueHandler = (entries: readonly Entry[], nowMs: number) => Promise<void>

export interface SweeperOptions {
  readonly store: Store
  readonly clock: Clock
  /** By the first word of a record's path: `token`, `dying`, `lease`. */
  readonly handlers: ReadonlyMap<string, DueHandler>
  readonly onError: (kind: string, error: unknown) => void
}

/** Records claimed at a time; a handler's batches are not larger. */
const claimMax = 50
/** How long a claimed record is kept from other brokers: longer than any engine's time-out. */
const holdMs = 60_000

/**
 * Works through what is due, in bounded batches and with a turn of the event loop between them,
 * so that requests are not held up. Any number of brokers may sweep at once: a claim hands each
 * record to one of them, and a broker that dies leaves records that come due again.
 */
export function createSweeper ({ store, clock, handlers, onError }: SweeperOptions) {
  let running: Promise<number> | null = null
  let again = false
  let stopped = false

  async function handleBatch (entries: readonly Entry[], nowMs: number): Promise<void> {
    const byKind = Map.groupBy(entries, (entry) => pathOf(entry.key).split('/', 1)[0] ?? '')
    for (const [kind, group] of byKind) {
      if (group.length > 1 && await isHandled(kind, group, nowMs, () => {})) continue
      // One that cannot be dealt with must not keep those behind it waiting, now and each time it comes back.
      for (const entry of group) await isHandled(kind, [entry], nowMs, onError)
    }
  }

  async function isHandled (
    kind: string, group: readonly Entry[], nowMs: number, onFailure: SweeperOptions['onError']
  ): Promise<boolean> {
    const handler = handlers.get(kind)
    try {
      if (handler === undefined) throw new Error(`no handler for due records of kind ${kind}`)
      await handler(group, nowMs)
      return true
    } catch (error) {
      onFailure(kind, error)
      return false
    }
  }

  async function pass (): Promise<number> {
    let handled = 0
    do {
      again = false
      for (let full = true; full && !stopped;) {
        const nowMs = clock.now()
        const entries = await store.claim({ nowMs, limit: claimMax, holdMs })
        await handleBatch(entries, nowMs)
        handled += entries.length
        full = entries.length === claimMax
        await new Promise((resolve) => setImmediate(resolve))
      }
    } while (again && !stopped)
    return handled
  }

  return {
    /** One pass until nothing is due; a call during a pass adds a look at its end. Returns how many records were handled. */
    sweep (): Promise<number> {
      again = true
      running ??= pass().finally(() => { running = null })
      return running
    },
    /** Starts a pass without waiting for it. */
    nudge (): void {
      void this.sweep().catch((error: unknown) => onError('claim', error))
    },
    /** Ends after the batch under way. */
    async stop (): Promise<void> {
      stopped = true
      await running?.catch(() => {})
    }
  }
}

export type Sweeper = ReturnType<typeof createSweeper>
