import type { Invocation } from './args.ts'
import { fetchCredentials, remainingMs, revokeLease, type Credentials, type Wanted } from './credentials.ts'
import { CallFailure, hasStatus, type Failure } from './failure.ts'
import { createKeeper, type Keeper } from './keeper.ts'
import { pauseOrStop, type Parts } from './parts.ts'
import type { Broker } from './session.ts'
import type { FileSinks } from './sinks.ts'
import { openTokenKeeper, type TokenKeeper } from './token-keeper.ts'

/** How long a start waits for a broker that is not there yet. */
const startMs = 30_000
const startPauseMs = 500
/** How often files that could not be written are tried again. */
const settleMs = 15_000
/** How long the end may take. */
const endMs = 8000

export interface UpkeepOptions {
  readonly invocation: Invocation
  readonly parts: Parts
  readonly broker: Broker
  readonly wanted: Wanted
  readonly sinks: FileSinks
  /** How often the token is looked at. */
  readonly checkMs: number
  /** Ends the waiting of a start. */
  readonly stopped: AbortSignal
}

/** A token, the credentials that were made with it, and the files that hold them, kept fresh. */
export interface Upkeep {
  readonly keeper: Pick<Keeper, 'give'>
  readonly token: Pick<TokenKeeper, 'check'>
  run (signal: AbortSignal): Promise<void>
  /** Ends all that was made, and removes its files. */
  end (): Promise<void>
}

/**
 * Logs in and fetches the first credentials. A broker that is not there yet is waited for.
 *
 * @throws Failure where that is refused, or takes too long; then nothing is left.
 */
export async function openUpkeep (options: UpkeepOptions): Promise<Upkeep> {
  const { parts, sinks } = options
  const upkeep = await begin(options, () => assemble(options))
  try {
    await begin(options, async () => {
      const failure = await upkeep.keeper.refresh()
      if (failure !== null) throw failure
    })
  } catch (error) {
    await upkeep.end()
    throw error
  }
  return {
    ...upkeep,
    async run (signal) {
      const settle = async () => {
        while (!signal.aborted) {
          await pauseOrStop(parts, settleMs, signal)
          await sinks.settle()
        }
      }
      await Promise.all([upkeep.keeper.run(signal), upkeep.token.run(signal), settle()])
    }
  }
}

async function assemble ({ invocation, parts, broker, wanted, sinks, checkMs }: UpkeepOptions) {
  const { client } = broker
  let issued: Credentials[] = []
  const token = await openTokenKeeper({ invocation, parts, client, checkMs, changed: sinks.giveToken, revoked })
  const keeper = createKeeper({ fetch, changed: sinks.give, parts })

  async function fetch (): Promise<Credentials> {
    try {
      return await fetchOnce()
    } catch (error) {
      // The token may have ended by itself between two looks.
      if (!hasStatus(error, 403) || await token.check() !== 'replaced') throw error
      return fetchOnce()
    }
  }

  async function fetchOnce (): Promise<Credentials> {
    const fetched = await fetchCredentials(broker, token.token(), wanted, parts)
    issued = [...issued.filter(({ end }) => remainingMs(end, parts) > 0), fetched]
    return fetched
  }

  function revoked (): void {
    keeper.shut()
    // Their leases ended with the token.
    issued = []
    sinks.giveToken(null)
    parts.screen.say('the token was revoked: nothing is given any more; start the sidecar again to log in')
  }

  async function endLeases (signal: AbortSignal): Promise<void> {
    if (!token.isOurs()) for (const { leaseId } of issued) await revokeLease(broker, token.token(), leaseId, signal)
    await token.end(signal)
  }

  return {
    token,
    keeper,
    async end () {
      keeper.shut()
      sinks.giveToken(null)
      await sinks.settle()
      await endLeases(AbortSignal.timeout(endMs)).catch(() => {
        parts.screen.say('what was made could not be ended: it ends at its own time')
      })
    }
  }
}

/** Does something again while the broker is not there yet. What may have been done, and whose answer was lost, is not. */
async function begin<T> ({ parts, stopped }: UpkeepOptions, work: () => Promise<T>): Promise<T> {
  const untilMs = parts.steady() + startMs
  for (let tries = 0; ; tries++) {
    try {
      return await work()
    } catch (error) {
      if (!isAway(error) || stopped.aborted || parts.steady() > untilMs) throw error
      if (tries === 0) parts.screen.say(`${error.message}; waiting for it`)
      await pauseOrStop(parts, startPauseMs + parts.random(startPauseMs), stopped)
    }
  }
}

function isAway (error: unknown): error is Failure {
  return error instanceof CallFailure && error.kind === 'unavailable' && (error.facts.isUnsent || error.facts.status !== null)
}
