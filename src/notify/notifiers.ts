import type { EgressRules } from '../core/egress.ts'
import { createResolve } from '../core/egress.ts'
import type { Published } from '../core/events.ts'
import { drawUuid } from '../core/ids.ts'
import { decodeRecord } from '../core/records.ts'
import type { Revision } from '../core/revision.ts'
import type { Entry, Store } from '../core/store.ts'
import { within } from '../core/within.ts'
import { createDeadLetters, type DeadLetters } from './dead-letters.ts'
import type { DeadLetter } from './delivery.ts'
import { checkAddresses, parseAddress, parseDestination } from './destination.ts'
import { testHcpTerraform } from './hcp-terraform.ts'
import { createIntake } from './intake.ts'
import type { Notifier } from './notifier.ts'
import { createNotifierTable, type NotifierTable } from './notifier-table.ts'
import type { Outcome } from './outcome.ts'
import { webhookBody } from './payload.ts'
import type { MountNames } from './ports.ts'
import { createSender } from './sender.ts'
import { createTally, type Tally } from './tally.ts'
import { createTeller } from './told.ts'
import { postWebhook } from './webhook.ts'

export interface NotifiersOptions {
  readonly store: Store
  readonly revision: Pick<Revision, 'commit' | 'follow' | 'poll'>
  readonly mounts: MountNames
  readonly egress: EgressRules
  /** The store's time. */
  readonly now: () => number
  /** Has the sweep look for what is due. */
  readonly nudge: () => void
  /** Told of each delivery that was given up. */
  readonly onDead: (notifier: Notifier, letter: DeadLetter) => void
  readonly onError: (error: unknown) => void
}

/** Who is told of rotations, alarms and what else happens, and what of that is still to be told. */
export interface Notifiers {
  readonly table: NotifierTable
  readonly deadLetters: DeadLetters
  readonly tally: Tally
  /** What notifiers may reach. */
  readonly egress: EgressRules
  /** Takes an event of this broker; waits for nothing. */
  take (published: Published): void
  /** Writes deliveries of what happened and of what the mounts say. Call it at start and a few times a second. */
  tick (): Promise<void>
  /** Counts what waits in the store. */
  look (): Promise<void>
  /** Refuses a notifier whose name leads where notifications may not go. @throws BrokerError `invalid_request` */
  checkAddresses (notifier: Notifier): Promise<void>
  /** Sends one test to a notifier now, and changes nothing anywhere. */
  test (notifier: Notifier): Promise<Outcome>
  /** The sweeper's handlers. */
  readonly dueHandlers: readonly (readonly [string, (entries: readonly Entry[]) => Promise<void>])[]
  /** Writes what waits in memory, begins nothing more, and resolves when nothing is under way. */
  close (): Promise<void>
}

/** What some work answers, or undefined where it fails: one that cannot be dealt with stops nobody else. */
async function attempt<T> (work: () => Promise<T>, failures: unknown[]): Promise<T | undefined> {
  try {
    return await work()
  } catch (error) {
    failures.push(error)
    return undefined
  }
}

/** Names that are looked up at once: half of what the process has threads for (FLT-056). */
const lookUpsAtOnce = 2
/** How long a request waits for a name's addresses. */
const lookUpMs = 3000

export function createNotifiers (options: NotifiersOptions): Notifiers {
  const { store, revision, mounts, egress, now, onDead, onError } = options
  const tally = createTally()
  const table = createNotifierTable({ store, revision })
  const deadLetters = createDeadLetters({ store })
  const sending = { egress, findAddresses: createResolve(lookUpsAtOnce), mounts, now }
  const intake = createIntake({ store, table, tally, now })
  const teller = createTeller({ store, mounts, now })
  const sender = createSender({
    store, table, deadLetters, sending, tally, onDead, onError, refresh: () => revision.poll()
  })
  /** Whether mounts or notifiers may have changed since all was told. */
  let isBehind = true
  let isLoaded = false
  revision.follow(async () => {
    isBehind = true
    // A notifier that cannot be read is no reason to serve nobody.
    await load().catch(onError)
  })

  async function load (): Promise<void> {
    isLoaded = false
    await table.load()
    isLoaded = true
  }

  /** Level by level and not event by event: whoever looks next makes up for a broker that died. */
  async function tellNames (failures: unknown[]): Promise<boolean> {
    if (!isBehind) return false
    isBehind = false
    const before = failures.length
    let wrote = false
    for (const notifier of table.all()) {
      if ((await attempt(() => teller.tell(notifier), failures) ?? 0) > 0) wrote = true
    }
    if (failures.length > before) isBehind = true
    return wrote
  }

  return {
    table,
    deadLetters,
    tally,
    egress,
    take: intake.take,
    async tick () {
      const failures: unknown[] = []
      if (!isLoaded) await attempt(load, failures)
      const wroteEvents = await attempt(intake.flush, failures)
      // Even where some could not be written others may have been.
      if (await tellNames(failures) || wroteEvents !== false) options.nudge()
      if (failures.length > 0) throw failures[0]
    },
    async look () {
      const pending = new Map<Notifier['type'], number>()
      for (const { id, type } of table.all()) {
        pending.set(type, (pending.get(type) ?? 0) + (await deadLetters.counts(id)).pending)
      }
      tally.pending.clear()
      for (const [type, count] of pending) tally.pending.set(type, count)
    },
    async checkAddresses (notifier) {
      const [field, endpoint] = notifier.type === 'webhook'
        ? ['url', parseDestination('url', notifier.url, egress).endpoint] as const
        : ['address', parseAddress('address', notifier.address, egress)] as const
      await within(lookUpMs, checkAddresses(field, endpoint, sending.findAddresses))
    },
    test (notifier) {
      if (notifier.type === 'hcp-terraform') return testHcpTerraform(notifier, sending)
      const id = `msg_${drawUuid().replaceAll('-', '')}`
      return postWebhook(notifier, { id, body: webhookBody('test', now(), {}) }, sending)
    },
    dueHandlers: [
      ['delivery', sender.take],
      ['notifier-gone', async (entries) => {
        for (const { key, value } of entries) {
          await deadLetters.clear(decodeRecord<{ id: string }>(value).id)
          await store.commit([{ op: 'delete', key }])
        }
      }]
    ],
    async close () {
      await intake.flush().catch(onError)
      await sender.stop()
    }
  }
}
