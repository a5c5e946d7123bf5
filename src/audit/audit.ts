import { randomBytes } from 'node:crypto'
import type { Clock } from '../core/clock.ts'
import { BrokerError } from '../core/errors.ts'
import { decodeRecord, encodeRecord } from '../core/records.ts'
import { key, StoreConflict, SYS, type Store } from '../core/store.ts'
import type { AuditDevice } from './device.ts'
import { createEntryWriter, type AuditAnswer, type AuditSubject, type EntryWriter } from './entry.ts'
import { createHasher, type Hash } from './hasher.ts'
import { ownNames } from './names.ts'

export interface AuditOptions {
  /** None: nothing is recorded, and nothing is held up. */
  readonly devices: readonly AuditDevice[]
  readonly store: Store
  readonly clock: Clock
  /** Names of the parameters of all operations, which stand in clear as keys. */
  readonly names: Iterable<string>
}

/** How a device does, for health and metrics. */
export interface DeviceStatus {
  readonly name: string
  /** Whether its last entry was not written. */
  readonly failing: boolean
  /** Entries that it has not, since the start (SEC-257). */
  readonly gaps: number
  /** Why it last failed: a code of the operating system, or `late`. */
  readonly reason: string | null
}

/** What `sys/audit` tells of a device. */
export interface DeviceInfo {
  readonly name: string
  readonly type: string
  readonly options: Readonly<Record<string, string>>
}

/** The audit log. */
export interface Audit {
  /**
   * Records what is asked, before it is done.
   * @throws BrokerError `failed`, `internal error`, when no device has the entry: do nothing then.
   */
  recordRequest (subject: AuditSubject): Promise<void>
  /**
   * Records what is answered, before the answer leaves.
   * @throws BrokerError `failed`, `internal error`, when no device has the entry: answer nothing then.
   */
  recordResponse (subject: AuditSubject, answer: AuditAnswer): Promise<void>
  status (): readonly DeviceStatus[]
  devices (): readonly DeviceInfo[]
  /** The hash that a device writes for a text; null for an unknown device. */
  hash (device: string, text: string): string | null
  /** Opens all files again, for log rotation; what fails shows in `status`. */
  reopen (): Promise<void>
  /** Looks whether the files are still there. Call it every 5 s or more often. */
  check (): Promise<void>
  close (): Promise<void>
}

interface Attached {
  readonly device: AuditDevice
  readonly hash: Hash
  readonly writer: EntryWriter
  failing: boolean
  gaps: number
  reason: string | null
}

/** Makes the line of an entry for one device. */
type LineOf = (writer: EntryWriter) => string

/** An internal error to the client; the operator sees the devices' own reasons. */
function failed (cause: unknown): BrokerError {
  return new BrokerError('failed', 'internal error', { cause })
}

/**
 * Opens the audit log: reads or makes each device's salt, and writes one test line to each
 * (contract 8).
 *
 * @throws Error when a device does not take its test line: a broker that cannot record must not serve.
 */
export async function openAudit ({ devices, store, clock, names }: AuditOptions): Promise<Audit> {
  const allNames = new Set([...ownNames, ...names])
  const attached: Attached[] = []
  for (const device of devices) {
    const hash = createHasher(await readSalt(store, device.name))
    const writer = createEntryWriter({ hash, names: allNames, index: attached.length })
    attached.push({ device, hash, writer, failing: false, gaps: 0, reason: null })
  }

  function note (to: Attached, error: unknown): void {
    to.failing = true
    to.reason = reasonOf(error)
  }

  /** Resolves when one device has the entry. A device that fails does not stop the others. */
  async function write (lineOf: LineOf): Promise<void> {
    const [only] = attached
    if (only === undefined) return
    try {
      await (attached.length === 1 ? writeTo(only, lineOf(only.writer)) : writeToAny(lineOf))
    } catch (error) {
      throw failed(error)
    }
  }

  async function writeToAny (lineOf: LineOf): Promise<void> {
    const lines = attached.map(({ writer }) => lineOf(writer))
    await Promise.any(attached.map((to, n) => writeTo(to, lines[n] ?? '')))
  }

  async function writeTo (to: Attached, line: string): Promise<void> {
    try {
      await to.device.write(line)
      to.failing = false
    } catch (error) {
      to.gaps++
      note(to, error)
      throw error
    }
  }

  async function forEach (act: (device: AuditDevice) => Promise<void>): Promise<void> {
    await Promise.all(attached.map(async (to) => {
      try {
        await act(to.device)
      } catch (error) {
        note(to, error)
      }
    }))
  }

  for (const to of attached) {
    try {
      await writeTo(to, to.writer.test(clock.now()))
    } catch (cause) {
      throw new Error(`audit device "${to.device.name}": audit backend failed test message`, { cause })
    }
  }

  return {
    recordRequest: (subject) => write((writer) => writer.request(subject, clock.now())),
    recordResponse: (subject, answer) => write((writer) => writer.response(subject, answer, clock.now())),
    status: () => attached.map(({ device, failing, gaps, reason }) => ({ name: device.name, failing, gaps, reason })),
    devices: () => attached.map(({ device: { name, type, options } }) => ({ name, type, options })),
    hash: (name, text) => attached.find(({ device }) => device.name === name)?.hash(text) ?? null,
    reopen: () => forEach((device) => device.reopen()),
    check: () => forEach((device) => device.check()),
    close: () => forEach((device) => device.close())
  }
}

/** A code of the operating system, or `late`; never a message, which may name what it should not. */
function reasonOf (error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : 'late'
}

interface SaltRecord { readonly salt: string }

/**
 * The 32 random bytes of a device (CRY-031), made once and sealed in the store, so that all brokers
 * and `sys/audit-hash` agree. Whoever comes second takes what the first one stored.
 */
async function readSalt (store: Store, device: string): Promise<Buffer> {
  const saltKey = key(SYS, `audit-salt/${device}`)
  const [known] = await store.get([saltKey])
  if (known) return Buffer.from(decodeRecord<SaltRecord>(known.value).salt, 'base64')
  const salt = randomBytes(32)
  try {
    await store.commit([{ op: 'put', key: saltKey, value: encodeRecord({ salt: salt.toString('base64') }), expect: 'absent' }])
    return salt
  } catch (error) {
    if (error instanceof StoreConflict) return readSalt(store, device)
    throw error
  }
}
