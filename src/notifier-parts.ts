import type { Logger } from 'pino'
import type { Config } from '../config/config.ts'
import type { Clock } from './core/clock.ts'
import type { EventStream } from './core/events.ts'
import type { Operation } from './core/backend.ts'
import type { Revision } from './core/revision.ts'
import type { Store } from './core/store.ts'
import type { Reading } from './metrics/metrics.ts'
import type { MountTable } from './mounts/mount-table.ts'
import type { Notifier } from './notify/notifier.ts'
import { plentiful, rare } from './notify/intake.ts'
import { createNotifiers } from './notify/notifiers.ts'
import { typeOf } from './notify/sender.ts'
import type { Tally } from './notify/tally.ts'
import type { PolicyStore } from './policies/policy-store.ts'
import { createNotifierOperations } from './system/notifiers.ts'

export interface NotifierPartsOptions {
  readonly config: Config
  readonly logger: Logger
  readonly store: Store
  readonly clock: Clock
  readonly revision: Revision
  readonly mounts: MountTable
  readonly aclFor: PolicyStore['aclFor']
  readonly subscribe: EventStream['subscribe']
  readonly nudge: () => void
}

/** Puts together what tells others of rotations and alarms. */
export function createNotifierParts (options: NotifierPartsOptions) {
  const { config, logger, clock } = options
  const egress = { development: config.development, allowedHosts: config.notifierHosts ?? [] }
  const notifiers = createNotifiers({
    ...options,
    egress,
    now: () => clock.now(),
    onDead: (notifier, { id, subject, attempts, failure }) => {
      const { name } = notifier
      const about = { notifier: name, host: hostOf(notifier), delivery: id, event: typeOf(subject), attempts, failure }
      logger.warn(about, 'a notification was given up')
    },
    onError: (error) => logger.error({ err: error }, 'a notification was not dealt with, and will be again')
  })
  // What comes in plenty does not push alarms out of a buffer of their own.
  for (const types of [rare, plentiful]) void takeAll(types)

  async function takeAll (types: readonly string[]): Promise<void> {
    for await (const published of options.subscribe(types)) notifiers.take(published)
  }

  return {
    operations: createNotifierOperations(notifiers, options) satisfies Operation[],
    dueHandlers: notifiers.dueHandlers,
    jobs: [
      { name: 'tell notifiers', periodMs: 250, run: () => notifiers.tick() },
      { name: 'count notifications', periodMs: 10_000, run: () => notifiers.look() }
    ],
    readings: readingsOf(notifiers.tally),
    close: () => notifiers.close()
  }
}

/** A URL may hold what only its receiver is to see; its host is enough to find it. */
function hostOf (notifier: Notifier): string {
  return URL.parse(notifier.type === 'webhook' ? notifier.url : notifier.address)?.host ?? ''
}

/** What metrics show of notifiers, by their type (SEC-222). */
function readingsOf (tally: Tally): Reading[] {
  const counters = [
    ['delivered', 'Notifications that were delivered'],
    ['failed', 'Attempts at a notification that failed'],
    ['dead', 'Notifications that were given up'],
    ['dropped', 'Notifications for which there was no room']
  ] as const
  return [
    ...counters.map(([what, help]): Reading => ({
      name: `latchkey_notifications_${what}_total`, help: `${help}, by the notifier's type`, kind: 'counter', label: 'type', read: () => tally.of(what)
    })),
    {
      name: 'latchkey_notifications_pending',
      help: 'Notifications that wait in the store, by the notifier\'s type, at most 1000 of each notifier',
      kind: 'gauge',
      label: 'type',
      read: () => tally.pending
    }
  ]
}
