import { createHmac } from 'node:crypto'
import type { Logger } from 'pino'
import { parseCron } from '../plugins/cron.ts'
import type { Audit } from './audit/audit.ts'
import type { Clock } from './core/clock.ts'
import type { BrokerEvent } from './core/events.ts'
import { createEventParts } from './event-parts.ts'
import { createJournal } from './journal.ts'
import { ownPath, requestPrefix, type Mount, type Rotation } from './core/model.ts'
import type { Revision } from './core/revision.ts'
import type { Store } from './core/store.ts'
import { within } from './core/within.ts'
import { createNameWatch, type NameWatch } from './broker/name-watch.ts'
import { createReaction } from './broker/reaction.ts'
import type { Reading } from './metrics/metrics.ts'
import type { MountTable } from './mounts/mount-table.ts'
import { createNameIndex, type KeptKeys } from './mounts/name-index.ts'
import { createRehearsal } from './mounts/rehearsal.ts'
import type { NameMac } from './mounts/rotation.ts'
import { createRotator, type Rotator } from './mounts/rotator.ts'
import { createTripwire } from './mounts/tripwire.ts'
import { createWaiting } from './mounts/waiting.ts'
import type { PolicyStore } from './policies/policy-store.ts'
import type { Keyring } from './store/keyring.ts'
import { lengthPrefixed } from './store/seal.ts'
import { createNameIndexOperations } from './system/name-index.ts'
import { createResolverOperations } from './system/resolver.ts'
import { createRotationOperations } from './system/rotation.ts'
import type { TokenStore } from './tokens/token-store.ts'

/** Requests that may wait for a name, and those of one token. */
const waitingLimits = { all: 2000, ofCaller: 16 }
/** How long the answer to a rotation waits for the index; the rotation itself is done. */
const indexMs = 2000

/** The HMAC that names are made with; the key stays in the keyring (SEC-215, SEC-223). */
export function createNameMac (keyring: Keyring): NameMac {
  return (term, parts) => {
    if (!keyring.terms('mountname').includes(term)) return null
    return createHmac('sha256', keyring.purposeKey(term, 'mountname')).update(lengthPrefixed(parts)).digest()
  }
}

export interface RotatingNamesOptions {
  readonly store: Store
  readonly keyring: Keyring
  readonly clock: Clock
  readonly logger: Logger
  readonly mac: NameMac
  readonly mounts: MountTable
  readonly revision: Revision
  readonly policies: PolicyStore
  readonly tokens: TokenStore
  readonly audit: () => Audit
  readonly nudge: () => void
  readonly revokeToken: (accessor: string, nowMs: number) => Promise<boolean>
  readonly endSecretId: (accessor: string) => Promise<void>
  /** The engine of keys and values, and which mounts of it keep versions. */
  readonly keys: KeptKeys
  readonly count: (event: BrokerEvent) => void
  readonly canHoldNames: (mount: Mount) => boolean
}

/** Puts together what makes mount names rotate, tells who needs them, and watches the old ones. The mounts are loaded. */
export function createRotatingNames (options: RotatingNamesOptions) {
  const { store, clock, keyring, logger, mac, mounts, policies, tokens } = options
  const { events, openStream, ...eventParts } = createEventParts(options)
  const now = () => clock.now()
  const tripwire = createTripwire(mac)
  const rehearsal = createRehearsal({ mounts, store })
  const waiting = createWaiting(waitingLimits)
  const journal = createJournal(options)
  const reaction = createReaction({
    ...options,
    journal: (mount, data, run) => journal(`sys/latchkey/rotation/${mount}/tripwire`, data, run)
  })
  const rotator = createRotator({
    mounts,
    clock,
    mac,
    activeTerm: () => keyring.activeTerm('mountname'),
    parseCron,
    publish: events.publish,
    journal: (mount, run) => journal(`sys/latchkey/rotation/${requestPrefix(mount)}rotate`, {}, async () => ({ ...await run() })),
    onError: (mount, error) => logger.error({ mount: mount.accessor, err: error }, 'a name was not rotated and will be again')
  })
  /** An alarm is also in the operator's log, whether or not anybody reads events. */
  function tell (event: BrokerEvent): void {
    if (event.type === 'tripwire') logger[event.grace === 'outside' ? 'warn' : 'info'](event, 'a former name of a mount was used')
    events.publish(event)
  }

  const watch = createNameWatch({
    tripwire,
    rehearsal,
    publish: tell,
    now,
    findToken: async (accessor, nowMs) => (await tokens.findByAccessor(accessor, nowMs))?.token ?? null,
    react: reaction.queue,
    onError: (error) => logger.error({ err: error }, 'the use of a name was not looked at')
  })

  const index = createNameIndex({ store, mounts, now, revision: options.revision, keys: options.keys })

  function follow (): void {
    tripwire.follow(mounts.all())
    waiting.wake()
  }
  follow()
  options.revision.follow(async () => {
    follow()
    // What is held in memory must not grow old meanwhile. What fails here the job does later, and tells of it.
    void index.write().catch(() => {})
  })

  /** Who asks for a change is answered when the index holds it, or after a while. */
  const indexed = <A extends readonly unknown[], R>(change: (...by: A) => Promise<R>) => async (...asked: A) => {
    const result = await change(...asked)
    await within(indexMs, index.write().catch(() => {}))
    return result
  }
  const { rotate, configure, turnOff } = rotator
  const byRequest: Rotator = {
    ...rotator, rotate: indexed(rotate), configure: indexed(configure), turnOff: indexed(turnOff)
  }

  return {
    watch,
    rotator: byRequest,
    leaseEnded: eventParts.leaseEnded,
    subscribe: events.subscribe,
    jobs: [
      ...eventParts.jobs,
      { name: 'share who uses which name', periodMs: 5000, run: () => rehearsal.share(clock.now()) },
      { name: 'write the names of mounts', periodMs: 1000, run: () => index.write() },
      { name: 'verify the written names of mounts', periodMs: 30_000, run: () => index.verify() }
    ],
    cron: [{ name: 'rotate names', expression: '* * * * * *', run: rotator.tick }],
    dueHandlers: [['tripwire', reaction.finish], ['names-seen', rehearsal.forget]] as const,
    openStream,
    readings: readingsOf(mounts, watch),
    operations: [
      ...eventParts.operations,
      ...createRotationOperations({ mounts, rotator: byRequest, rehearsal }),
      ...createNameIndexOperations({ index, mounts, canHold: options.canHoldNames }),
      ...createResolverOperations({
        mounts,
        rotator,
        waiting,
        now,
        reaches: (token, prefix) => policies.aclFor(token.policies).allowsAtOrBelow(prefix),
        isStillAllowed: async ({ token, request: { path, data, wrapTtlSeconds } }) => {
          const live = token === null ? null : await tokens.findByAccessor(token.accessor, clock.now())
          return live !== null && policies.aclFor(live.token.policies).check({ path, operation: 'read', data, wrapTtlSeconds }).allowed
        },
        resolved: watch.resolved
      })
    ],
    /** Lets go of requests that wait for names or read events; before the server stops. */
    release (): void {
      waiting.close()
      events.close()
    },
    /** Writes what is not written yet; a store that is away does not hold up the end. */
    async close (): Promise<void> {
      await watch.idle()
      await rehearsal.share(clock.now()).catch((error: unknown) => {
        logger.warn({ err: error }, 'who used which name was not written')
      })
    }
  }
}

/** What metrics show of names, by the mounts' own paths (SEC-222). */
function readingsOf (mounts: MountTable, watch: Pick<NameWatch, 'missed'>): Reading[] {
  const ofRotating = (read: (rotation: Rotation) => number) => () => new Map(mounts.all().flatMap((mount) =>
    mount.rotation?.enabled === true ? [[ownPath(mount), read(mount.rotation)]] : []))
  return [
    {
      name: 'latchkey_rotation_slot',
      help: 'The present slot of each mount whose name rotates',
      kind: 'gauge',
      label: 'mount',
      read: ofRotating(({ slot }) => slot)
    },
    {
      name: 'latchkey_rotation_timestamp_seconds',
      help: 'When the present name of each mount began to be served, epoch seconds',
      kind: 'gauge',
      label: 'mount',
      read: ofRotating(({ startedAtMs }) => startedAtMs / 1000)
    },
    {
      name: 'latchkey_name_looks_missed_total',
      help: 'Uses of names that nobody looked at, since too many were waiting',
      kind: 'counter',
      read: () => new Map([['', watch.missed()]])
    }
  ]
}
