import type { Call } from '../../core/backend.ts'
import { invalidRequest } from '../../core/errors.ts'
import { checkVersion } from './check-and-set.ts'
import { deletionTime, versionLimit } from './config.ts'
import {
  deleteData, inlineLengthMax, newKey, putData, type KvKey, type StoredKey, type Version
} from './key-record.ts'
import type { Loaded, Step } from './keys.ts'

/** Longest data of one version, bytes. With it and all that goes beside it a commit stays below 1 MiB. */
export const dataBytesMax = 640 * 1024
/** Versions that one commit removes. */
export const removedMax = 200

/** A new version and the key that it is of. */
export interface Written {
  readonly key: KvKey
  readonly version: Version
}

/** Refuses data that are too large, without a word of them (SEC-199). */
export function checkSize (text: string): void {
  if (Buffer.byteLength(text) <= dataBytesMax) return
  throw invalidRequest(`the data are too large: a version holds at most ${dataBytesMax} bytes`)
}

/** Holds a write of data to the version that it expects. */
export function checkExpected ({ stored, config }: Loaded, expected: number | null): void {
  checkVersion(expected, config.casRequired || stored?.key.casRequired === true, stored?.key.current ?? 0)
}

/**
 * The next version of a key: the newest moves aside, those beyond the limit go for good, and all of
 * it is one commit (contract 7.5). Only where it would be too large are there commits before it,
 * each of which leaves a sound key.
 */
export function nextVersion (
  { store, nowMs }: Pick<Call, 'store' | 'nowMs'>, { stored, config }: Loaded, text: string
): Step<Written> {
  const base: StoredKey = stored ?? { key: newKey(nowMs), text: null }
  const version: Version = {
    number: base.key.current + 1,
    createdMs: nowMs,
    deletionMs: deletionTime(config, base.key.deleteAfterSeconds, nowMs),
    destroyed: false
  }
  const result = { key: base.key, version }
  if (base.text !== null && base.text.length > inlineLengthMax) {
    return { ...setApart(store, base), result, unfinished: true }
  }
  const limit = versionLimit(config, base.key.maxVersions)
  const oldest = version.number - limit + 1
  const excess = base.key.versions.filter(({ number }) => number < oldest)
  if (excess.length > removedMax) {
    return { ...without(store, base, excess.slice(0, removedMax)), result, unfinished: true }
  }
  const versions = [...base.key.versions.slice(excess.length), version]
  const inline = text.length <= inlineLengthMax
  return {
    put: {
      key: {
        ...base.key,
        plain: false,
        current: version.number,
        oldest: version.number >= limit ? versions[0]?.number ?? 0 : base.key.oldest,
        updatedMs: nowMs,
        versions
      },
      text: inline ? text : null
    },
    beside: [
      ...(base.text !== null && base.key.current >= oldest
        ? [putData(store, base.key.life, base.key.current, base.text)]
        : []),
      ...(inline ? [] : [putData(store, base.key.life, version.number, text)]),
      ...deleteData(store, base.key.life, excess)
    ],
    result
  }
}

type Change = Pick<Step<unknown>, 'put' | 'beside'>

/** Long data that version 1 of the engine wrote beside nothing else. */
function setApart (store: Call['store'], { key, text }: StoredKey): Change {
  return { put: { key: { ...key, plain: false }, text: null }, beside: [putData(store, key.life, key.current, text ?? '')] }
}

/** A key without some of its oldest versions, whose data go with them. */
export function without (store: Call['store'], { key, text }: StoredKey, gone: readonly Version[]): Change {
  const numbers = new Set(gone.map(({ number }) => number))
  return {
    put: { key: { ...key, plain: false, versions: key.versions.filter(({ number }) => !numbers.has(number)) }, text },
    beside: deleteData(store, key.life, gone)
  }
}
