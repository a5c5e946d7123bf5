import { isoTime } from '../../core/iso-time.ts'
import type { JsonObject } from '../../core/json.ts'
import { drawStamp, type Change, type Entry, type Stamp } from '../../core/store.ts'
import type { MountStore } from '../../core/backend.ts'

/** One version of a key. Times are epoch ms. */
export interface Version {
  readonly number: number
  readonly createdMs: number
  /** From then on it reads as deleted; 0: never. It may lie ahead. */
  readonly deletionMs: number
  readonly destroyed: boolean
}

/** A key with all that is known of it; one record, so that a version and its metadata are one write. */
export interface KvKey {
  /** Where older versions lie. Drawn anew each time the path is taken again, so that no version of an earlier life is ever found. */
  readonly life: string
  /** Written through version 1 of the engine: one version, which the next write replaces. */
  readonly plain: boolean
  /** Number of the newest version; 0 before the first. */
  readonly current: number
  /** As clients see it: 0 until versions are first counted against the limit. */
  readonly oldest: number
  readonly createdMs: number
  readonly updatedMs: number
  readonly maxVersions: number
  readonly casRequired: boolean
  readonly deleteAfterSeconds: number
  readonly custom: Readonly<Record<string, string>> | null
  readonly metadataVersion: number
  readonly metadataCasRequired: boolean
  /** Ascending by number. */
  readonly versions: readonly Version[]
}

/** A key as it is stored: `text` is the newest version's data as the caller wrote it; null where it lies apart, or nowhere. */
export interface StoredKey {
  readonly key: KvKey
  readonly text: string | null
}

/** Longer data lie apart from their key's record, so that reading metadata stays cheap. UTF-16 units. */
export const inlineLengthMax = 65_536

/** A version in a record: number, creation, deletion, 1 where it is destroyed. Short, since each read opens and parses all of them. */
type Row = readonly [number: number, createdMs: number, deletionMs: number, destroyed: 0 | 1]

const format = 1

/** The first line of a record. */
interface Head extends Omit<KvKey, 'versions'> {
  readonly v: number
  readonly versions: readonly Row[]
}

function rowOf ({ number, createdMs, deletionMs, destroyed }: Version): Row {
  return [number, createdMs, deletionMs, destroyed ? 1 : 0]
}

function versionOf ([number, createdMs, deletionMs, destroyed]: Row): Version {
  return { number, createdMs, deletionMs, destroyed: destroyed === 1 }
}

/** Where a key's record is; the same text is the name it is listed by. */
export function keyPath (path: string): string {
  return `meta/${path}`
}

/** Where a version's data are, once it is not the newest or is long. */
export function dataPath (life: string, number: number): string {
  return `data/${life}/${number}`
}

/** A key before its first version. */
export function newKey (nowMs: number): KvKey {
  return {
    life: drawStamp(),
    plain: false,
    current: 0,
    oldest: 0,
    createdMs: nowMs,
    updatedMs: nowMs,
    maxVersions: 0,
    casRequired: false,
    deleteAfterSeconds: 0,
    custom: null,
    metadataVersion: 0,
    metadataCasRequired: false,
    versions: []
  }
}

/** Writes a key if its record is still the one that was read. One line of JSON, then the data unparsed (CRY-056). */
export function putKey (
  store: MountStore, path: string, { key, text }: StoredKey, expect: Stamp | 'absent', stamp: Stamp
): Change {
  const head = JSON.stringify({ v: format, ...key, versions: key.versions.map(rowOf) })
  return {
    op: 'put',
    key: store.key(keyPath(path)),
    value: Buffer.from(text === null ? head : `${head}\n${text}`, 'utf8'),
    names: [keyPath(path)],
    expect,
    stamp
  }
}

/** Reads a key's record. @throws Error where this program is older than the record. */
export function decodeKey ({ value }: Entry): StoredKey {
  const record = Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('utf8')
  const end = record.indexOf('\n')
  const head = JSON.parse(end < 0 ? record : record.slice(0, end)) as Head
  if (head.v !== format) throw new Error('a key has a format that this version does not know')
  return { key: { ...head, versions: head.versions.map(versionOf) }, text: end < 0 ? null : record.slice(end + 1) }
}

/** Puts a version's data apart from its key. They are never written twice. */
export function putData (store: MountStore, life: string, number: number, text: string): Change {
  return { op: 'put', key: store.key(dataPath(life, number)), value: Buffer.from(text, 'utf8') }
}

/** Removes the data of versions that lie apart. */
export function deleteData (store: MountStore, life: string, versions: readonly Version[]): Change[] {
  return versions.map(({ number }) => ({ op: 'delete', key: store.key(dataPath(life, number)) }))
}

/** The version of a number; 0 means the newest. Null where there is none, or none any more. */
export function findVersion ({ versions, current }: KvKey, number: number): Version | null {
  const wanted = number === 0 ? current : number
  for (let i = versions.length - 1; i >= 0; i--) {
    const version = versions[i]
    if (version?.number === wanted) return version
  }
  return null
}

/** Whether a version's data may be read (SEC-196: its deletion time is judged here, not by a sweep). */
export function isReadable ({ destroyed, deletionMs }: Version, nowMs: number): boolean {
  return !destroyed && (deletionMs === 0 || deletionMs > nowMs)
}

/** A version as answers to reads and writes show it (contract 7.3). */
export function versionInfo (version: Version, custom: KvKey['custom']): JsonObject {
  return { version: version.number, ...versionState(version), custom_metadata: custom }
}

/** What is told of a version besides its number. */
export function versionState ({ createdMs, deletionMs, destroyed }: Version): JsonObject {
  return { created_time: timeText(createdMs), deletion_time: deletionMs === 0 ? '' : timeText(deletionMs), destroyed }
}

/** RFC 3339 with the nine digits that clients expect (contract 1.11). */
export function timeText (ms: number): string {
  return `${isoTime(ms).slice(0, -1)}000000Z`
}
