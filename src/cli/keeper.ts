import { within } from '../core/within.ts'
import { remainingMs, type Credentials } from './credentials.ts'
import { CallFailure, Failure } from './failure.ts'
import { pauseOrStop, type Parts } from './parts.ts'

/** AWS's clients ask for other credentials from here on, so these are worth waiting for others. */
const fewMs = 5 * 60_000
/** Less is never given: it may end on its way. */
const leastMs = 60_000
/** New ones are fetched before the widest window of a client, and at half of a short life. */
const wideMs = 16 * 60_000
/** How long a request may wait for a fetch that is under way; some clients wait for one second. */
const patienceMs = 800
/** How often the clocks are looked at: a machine that slept does not tell. */
const tickMs = 15_000
const backOffMsMax = 60_000
/** The first pause where what was asked for may have been made, and lost. */
const uncertainMs = 15_000

export interface KeeperOptions {
  /** Asks the broker, once. */
  readonly fetch: () => Promise<Credentials>
  /** Told of new credentials, and by null that there are none any more. */
  readonly changed: (credentials: Credentials | null) => void
  readonly parts: Pick<Parts, 'now' | 'steady' | 'pause' | 'random' | 'screen'>
}

/** Keeps credentials that live. */
export interface Keeper {
  /** What a caller gets: never what has ended or is about to; null where there is nothing. */
  give (): Promise<Credentials | null>
  /** Fetches now, for all that wait; answers why not, or null. */
  refresh (): Promise<Failure | null>
  /** Fetches ahead of every end, until stopped. */
  run (signal: AbortSignal): Promise<void>
  /** Forgets what there is, and fetches nothing any more. */
  shut (): void
}

export function createKeeper ({ fetch, changed, parts }: KeeperOptions): Keeper {
  const { steady, random, screen } = parts
  let present: Credentials | null = null
  let refreshing: Promise<Failure | null> | null = null
  /** How much may remain when the next are fetched; not the same for all that began together. */
  let windowMs = 0
  let failures = 0
  let notBeforeMs = 0
  let isShut = false

  const leftMs = () => present === null ? 0 : remainingMs(present.end, parts)

  function forget (): void {
    if (present === null) return
    present = null
    changed(null)
  }

  function forgetEnded (): void {
    if (present === null || leftMs() > 0) return
    forget()
    screen.say('the credentials have ended: none are given until the broker gives others')
  }

  async function ask (): Promise<Failure | null> {
    try {
      const fetched = await fetch()
      if (isShut) return null
      if (failures > 0) screen.say('the broker gave credentials again')
      failures = 0
      present = fetched
      const window = Math.min(wideMs, fetched.lifeMs / 2)
      windowMs = window + random(Math.floor(window / 10) + 1)
      changed(fetched)
      return null
    } catch (error) {
      if (!(error instanceof Failure)) throw error
      if (!isShut && ++failures === 1) screen.say(`${error.message}; trying again`)
      notBeforeMs = steady() + backOffMs(error, failures, random)
      return error
    }
  }

  function refresh (): Promise<Failure | null> {
    refreshing ??= ask().finally(() => { refreshing = null })
    return refreshing
  }

  const isDue = () => leftMs() <= windowMs
  const mayAsk = () => !isShut && (refreshing !== null || steady() >= notBeforeMs)

  return {
    refresh,
    async give () {
      forgetEnded()
      if (isDue() && mayAsk()) {
        const fetching = refresh()
        if (leftMs() <= fewMs) await within(patienceMs, fetching)
      }
      return leftMs() >= leastMs ? present : null
    },
    async run (signal) {
      while (!signal.aborted && !isShut) {
        const untilDueMs = Math.max(leftMs() - windowMs, notBeforeMs - steady())
        await pauseOrStop(parts, Math.min(tickMs, Math.max(untilDueMs, 50)), signal)
        forgetEnded()
        if (!signal.aborted && isDue() && mayAsk()) await refresh()
      }
    },
    shut () {
      isShut = true
      forget()
    }
  }
}

/** How long to wait after failures, ms: longer each time, not the same for all, and as long as the broker asks for. */
export function backOffMs (error: Failure, failures: number, random: Parts['random']): number {
  const { isUnsent, status, retryAfterSeconds } = error instanceof CallFailure
    ? error.facts
    : { isUnsent: true, status: null, retryAfterSeconds: null }
  const isUncertain = !isUnsent && (status === null || status >= 500)
  const longest = Math.min(backOffMsMax, (isUncertain ? uncertainMs : 1000) * 2 ** Math.min(failures - 1, 6))
  return Math.max((retryAfterSeconds ?? 0) * 1000, longest / 2 + random(longest / 2 + 1))
}
