import { operation, type Call, type Operation } from '../../core/backend.ts'
import { invalidRequest } from '../../core/errors.ts'
import { commaIntList } from '../../core/fields.ts'
import { pathField } from './fields.ts'
import { deleteData, isReadable, type Version } from './key-record.ts'
import type { Keys } from './keys.ts'
import { removedMax } from './write.ts'

const fields = { path: pathField, versions: commaIntList('The versions.') }

/** `delete/<path>`, `undelete/<path>` and `destroy/<path>` (contract 7.4). */
export function createVersionOperations (keys: Keys): Operation[] {
  return [
    operation({
      verb: 'write', path: 'delete/*path', access: 'capability',
      summary: 'Deletes versions; they can be undeleted',
      fields, bareFieldErrors: true,
      async run (call, input) {
        const chosen = chosenVersions(input.versions, 'No version number provided')
        const { nowMs } = call
        await edit(keys, call, input, (version) =>
          chosen.has(version.number) && isReadable(version, nowMs) ? { ...version, deletionMs: nowMs } : version)
        return { kind: 'none' }
      }
    }),
    operation({
      verb: 'write', path: 'undelete/*path', access: 'capability',
      summary: 'Brings deleted versions back',
      fields, bareFieldErrors: true,
      async run (call, input) {
        const chosen = chosenVersions(input.versions, 'No version number provided')
        await edit(keys, call, input, (version) =>
          chosen.has(version.number) && !version.destroyed ? { ...version, deletionMs: 0 } : version)
        return { kind: 'none' }
      }
    }),
    operation({
      verb: 'write', path: 'destroy/*path', access: 'capability',
      summary: 'Removes the data of versions for ever',
      fields, bareFieldErrors: true,
      async run (call, input) {
        await destroy(keys, call, input, chosenVersions(input.versions, 'no version number provided'))
        return { kind: 'none' }
      }
    })
  ]
}

function chosenVersions (numbers: readonly number[] | undefined, refusal: string): ReadonlySet<number> {
  if (numbers === undefined || numbers.length === 0) throw invalidRequest(refusal)
  return new Set(numbers)
}

async function edit (
  keys: Keys, call: Call, input: { readonly path: string | undefined }, change: (version: Version) => Version
): Promise<void> {
  await keys.change(call, input.path ?? '', input, ({ stored }) => {
    if (stored === null) return { result: null }
    const { key, text } = stored
    const versions = key.versions.map(change)
    const changed = versions.some(({ deletionMs }, i) => deletionMs !== key.versions[i]?.deletionMs)
    return changed ? { put: { key: { ...key, plain: false, versions }, text }, result: null } : { result: null }
  })
}

/** The data go in the commit that says so: nobody finds one without the other (CRY-017). */
async function destroy (
  keys: Keys, call: Call, input: { readonly path: string | undefined }, chosen: ReadonlySet<number>
): Promise<void> {
  await keys.change(call, input.path ?? '', input, ({ stored }) => {
    if (stored === null) return { result: null }
    const { key, text } = stored
    const all = key.versions.filter((version) => chosen.has(version.number) && !version.destroyed)
    if (all.length === 0) return { result: null }
    const doomed = all.slice(0, removedMax)
    const versions = key.versions.map((version) => doomed.includes(version) ? { ...version, destroyed: true } : version)
    const newest = doomed.some(({ number }) => number === key.current)
    return {
      put: { key: { ...key, plain: false, versions }, text: newest ? null : text },
      beside: deleteData(call.store, key.life, doomed),
      result: null,
      ...(doomed.length < all.length && { unfinished: true })
    }
  })
}
