import type { Call } from '../../core/backend.ts'
import { isJsonObject, type JsonObject } from '../../core/json.ts'
import { findVersion, isReadable } from './key-record.ts'
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
  /** Removes a key with all its versions; repeatable. */
  remove (at: KeptIn, path: string): Promise<void>
}

export function createKeptKeys (keys: Keys): KeptKeys {
  return {
    keep: (at, path, decide) => keys.change(at, path, {}, async (loaded) => {
      const held = await newestText(at, path, loaded)
      const data = decide(held === null ? null : objectOf(held))
      const text = JSON.stringify(data)
      if (data === null || text === held) return { result: undefined }
      checkSize(text)
      return { ...nextVersion(at, loaded, text), result: undefined }
    }),
    remove: (at, path) => keys.change(at, path, {}, (loaded) => ({ ...removed(at, loaded), result: undefined }))
  }
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
