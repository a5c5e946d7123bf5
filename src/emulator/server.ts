import { randomBytes } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import path from 'node:path'
import { adminPrefix, createAdmin } from './admin.ts'
import { createDispatcher } from './dispatch.ts'
import { createFaults, type Faults } from './faults.ts'
import { readIncoming, type Incoming } from './http/incoming.ts'
import { isLoopback } from './http/loopback.ts'
import { listIdentities, type Identities } from './identities.ts'
import { createJudge } from './judge.ts'
import { createRateLimit } from './rate-limit.ts'
import { notAws, sendOutcome } from './reply.ts'
import { exampleSeed } from './seed/example.ts'
import { plantSeed } from './seed/plant.ts'
import { parseSeed } from './seed/seed-schema.ts'
import { readStateSecret } from './seed/state-file.ts'
import { createServices } from './services.ts'
import { createAuthenticator } from './signature/authenticate.ts'
import { createClock, type EmulatorClock } from './state/clock.ts'
import { createPropagation, type Propagation, type PropagationSettings } from './state/propagation.ts'
import { createRandomSource } from './state/random.ts'
import { createSessions } from './state/sessions.ts'
import { createVault } from './state/vault.ts'
import { createWorld } from './state/world.ts'
import { createTrail, type TrailEvent, type TrailFilter } from './trail.ts'

/** How an emulator starts. Everything has a default. */
export interface EmulatorOptions {
  /** 0 or absent: a free one. */
  readonly port?: number
  /** A loopback address; any other is refused. */
  readonly host?: string
  /** A seed as in the README; the example seed unless given. */
  readonly seed?: unknown
  /** Where relative paths in the seed start; the current folder unless given. */
  readonly seedFolder?: string
  /** Epoch milliseconds; the machine's clock unless given. */
  readonly clock?: () => number
  /** Makes jitter, chances and runtime ids the same at every start. For tests: it makes them predictable. */
  readonly rngSeed?: string
  /** What identities and session tokens depend on. Random unless given here or in `stateFile`. */
  readonly secret?: string
  /** A file (0600) that keeps the secret, so that identities are as before at the next start. */
  readonly stateFile?: string
  readonly propagation?: Partial<PropagationSettings>
  /** Makes every session token at least this long, also beyond AWS's limit of 4,096. */
  readonly sessionTokenBytesMin?: number
  /** Requests to STS per second, account and region; no limit unless given. AWS has 600. */
  readonly stsRequestsPerSecond?: number
  /** Added to every answer, in milliseconds. */
  readonly delayMs?: number
  /** How many events the trail keeps; 20,000 unless given. */
  readonly trailEventsMax?: number
  /** Told of errors that should never happen; they are thrown away unless given. */
  readonly report?: (error: unknown) => void
}

/** A running emulator. */
export interface Emulator {
  /** `http://127.0.0.1:4566`; the one endpoint of all services. */
  readonly endpoint: string
  readonly port: number
  /** What the seed made: accounts, keys, roles, external ids. */
  readonly identities: Identities
  trail (filter?: TrailFilter): readonly TrailEvent[]
  readonly clock: EmulatorClock
  readonly faults: Faults
  readonly propagation: Pick<Propagation, 'settings' | 'configure'>
  close (): Promise<void>
}

const trailEventsMax = 20_000

/** Starts an emulator on loopback. Refuses any other address, and a seed that AWS would refuse. */
export async function startEmulator (options: EmulatorOptions = {}): Promise<Emulator> {
  const host = options.host ?? '127.0.0.1'
  if (!isLoopback(host)) throw new Error(`the emulator binds to loopback only, not to ${host}`)
  const clock = createClock(options.clock)
  const random = createRandomSource(options.rngSeed)
  const chance = createRandomSource(options.rngSeed === undefined ? undefined : `${options.rngSeed}\nfaults`)
  const vault = createVault(secretOf(options))
  const propagation = createPropagation(clock, options.rngSeed ?? 'propagation', { delayMs: 0, jitterMs: 0, regions: {} })
  const world = createWorld(propagation, clock.now())
  plantSeed(parseSeed(options.seed ?? exampleSeed), {
    world, vault, nowMs: clock.now(), folder: path.resolve(options.seedFolder ?? '.')
  })
  propagation.configure({ delayMs: 0, jitterMs: 0, regions: {}, ...options.propagation })
  const identities = listIdentities(world)

  const sessions = createSessions({ vault, random, paddingBytesMin: options.sessionTokenBytesMin ?? 0 })
  const faults = createFaults(chance)
  const trail = createTrail({ random, max: options.trailEventsMax ?? trailEventsMax })
  const rateLimit = createRateLimit(options.stsRequestsPerSecond ?? null)
  const judge = createJudge(world)
  const { services, unsigned } = createServices({ world, sessions, judge, vault, random })
  const dispatcher = createDispatcher({
    clock,
    random,
    services,
    unsigned,
    faults,
    trail,
    rateLimit,
    authenticator: createAuthenticator({ world, sessions, vault }),
    report: options.report ?? (() => {})
  })
  const admin = createAdmin({ clock, faults, trail, propagation, rateLimit, identities: () => identities })
  const closing = new AbortController()

  const answer = async (message: IncomingMessage, response: ServerResponse): Promise<void> => {
    const request = await readIncoming(message)
    if (request === null) return sendJson(response, 413, { error: 'the body is too large' })
    if (isAdmin(request)) {
      const { status, body } = admin(request)
      return sendJson(response, status, body)
    }
    const outcome = await dispatcher.dispatch(request)
    const faultDelayMs = outcome.fault === null ? 0 : faults.delayOf(outcome.fault)
    if (options.delayMs !== undefined && options.delayMs > 0) await pause(options.delayMs, closing.signal)
    await sendOutcome(response, outcome, faultDelayMs, closing.signal)
  }

  const limits = { keepAliveTimeout: 75_000, requestTimeout: 60_000, maxHeaderSize: 65_536 }
  const server = createServer(limits, (message, response) => {
    answer(message, response).catch((error: unknown) => {
      if (!closing.signal.aborted) options.report?.(error)
      response.destroy()
    })
  })
  const port = await listen(server, options.port ?? 0, host)
  return {
    endpoint: `http://${host.includes(':') ? `[${host.replace(/[[\]]/g, '')}]` : host}:${port}`,
    port,
    identities,
    trail: trail.events,
    clock,
    faults,
    propagation,
    async close () {
      closing.abort()
      server.closeAllConnections()
      await new Promise<void>((resolve) => server.close(() => resolve()))
    }
  }
}

function secretOf ({ secret, stateFile, rngSeed }: EmulatorOptions): string {
  if (secret !== undefined) return secret
  if (stateFile !== undefined) return readStateSecret(stateFile)
  return rngSeed === undefined ? randomBytes(32).toString('base64url') : `seed ${rngSeed}`
}

function isAdmin ({ path: target }: Incoming): boolean {
  return target === adminPrefix || target.startsWith(`${adminPrefix}/`)
}

function pause (ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms)
    signal.addEventListener('abort', () => {
      clearTimeout(timer)
      resolve()
    }, { once: true })
  })
}

function sendJson (response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { [notAws.name]: notAws.value, 'Content-Type': 'application/json' })
  response.end(`${JSON.stringify(body)}\n`)
}

function listen (server: ReturnType<typeof createServer>, port: number, host: string): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, host.replace(/[[\]]/g, ''), () => {
      server.removeListener('error', reject)
      resolve((server.address() as AddressInfo).port)
    })
  })
}
