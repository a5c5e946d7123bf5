import type { Call } from '../../core/backend.ts'
import { isJsonObject, type JsonObject } from '../../core/json.ts'
import { findVersion, isReadable, newKey, type StoredKey } from './key-record.ts'
import { readText, type Keys, type Loaded } from './keys.ts'
import { removed } from './metadata.ts'
import { checkSize, nextVersion } from './write.ts'

/** A mount with versions, as whoever keeps keys in it reaches it. */
export type KeptIn = Pick<Call, 'store' | 'nowMs'>

/** Keys of a mount with versions that the broker itself writes. */
export interface KeptKeys {
  /**
   * Makes the newest version hold what `decide` says of what it holds now, null where no data can be
   * read; decides anew whenever somebody was quicker. Nothing is written where both are the same, or
   * where it says null.
   */
  keep (at: KeptIn, path: string, decide: (held: JsonObject | null) => JsonObject | null): Promise<void>
  /**
   * Removes a key that `keep` has made, with all its versions. Of a key that was there before it deletes the newest
   * version, if `isOurs` says so of what it holds. Repeatable.
   */
  remove (at: KeptIn, path: string, isOurs: (held: JsonObject | null) => boolean): Promise<void>
}

/** Custom metadata of the keys that `keep` has made. */
const mark = { kept_by: 'latchkey' }

export function createKeptKeys (keys: Keys): KeptKeys {
  return {
    keep: (at, path, decide) => keys.change(at, path, {}, async (loaded) => {
      const held = await newestText(at, path, loaded)
      const data = decide(held === null ? null : objectOf(held))
      const text = JSON.stringify(data)
      if (data === null || text === held) return { result: undefined }
      checkSize(text)
      return { ...nextVersion(at, lasting(at, loaded), text), result: undefined }
    }),
    remove: (at, path, isOurs) => keys.change(at, path, {}, async (loaded) => {
      const { stored } = loaded
      const isKept = stored?.key.custom?.['kept_by'] === mark.kept_by
      if (stored === null || isKept) return { ...removed(at, loaded), result: undefined }
      const held = await newestText(at, path, loaded)
      if (held === null || !isOurs(objectOf(held))) return { result: undefined }
      return { put: withoutNewest(stored, at.nowMs), result: undefined }
    })
  }
}

/** What is written has no end, whatever the settings say; a key that is not there yet bears the mark. */
function lasting ({ nowMs }: KeptIn, { stored, stamp, config }: Loaded): Loaded {
  const base = stored ?? { key: { ...newKey(nowMs), custom: mark }, text: null }
  return { stored: base, stamp, config: { ...config, deleteAfterSeconds: -1 } }
}

function withoutNewest ({ key, text }: StoredKey, nowMs: number): StoredKey {
  const versions = key.versions.map((each) => each.number === key.current ? { ...each, deletionMs: nowMs } : each)
  return { key: { ...key, versions }, text }
}

async function newestText (at: KeptIn, path: string, { stored, stamp }: Loaded): Promise<string | null> {
  const version = stored === null ? null : findVersion(stored.key, 0)
  if (stored === null || version === null || !isReadable(version, at.nowMs)) return null
  return readText(at, path, { ...stored, stamp }, version)
}

function objectOf (text: string): JsonObject | null {
  const value: unknown = JSON.parse(text)
  return isJsonObject(value) ? value : null
}
