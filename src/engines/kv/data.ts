import { operation, type Call, type Operation, type Outcome } from '../../core/backend.ts'
import { BrokerError, invalidRequest, notFound } from '../../core/errors.ts'
import { int } from '../../core/fields.ts'
import { isJsonObject, parseExact, type JsonObject } from '../../core/json.ts'
import { parseCheckAndSet } from './check-and-set.ts'
import { pathField, sentObject } from './fields.ts'
import { findVersion, isReadable, versionInfo } from './key-record.ts'
import { readText, readVersion, type Keys } from './keys.ts'
import { memberText } from './member-text.ts'
import { mergePatch } from './merge-patch.ts'
import { checkExpected, checkSize, nextVersion, type Written } from './write.ts'

const versionField = int('A version; 0: the newest.')
const writeFields = {
  path: pathField,
  version: versionField,
  data: sentObject('What the version holds.'),
  options: sentObject('cas: the version that this write replaces; 0 where there shall be none.')
}

/** `data/<path>` (contract 7.3) and `subkeys/<path>` (7.6). */
export function createDataOperations (keys: Keys): Operation[] {
  return [
    operation({
      verb: 'read', path: 'data/*path', access: 'capability', summary: 'Reads a version of a key',
      fields: { path: pathField, version: versionField }, bareFieldErrors: true,
      run: async (call, { path = '', version = 0 }) =>
        show(call, path, version, (text, info) => ({ data: text === null ? null : parseExact(text), metadata: info }))
    }),
    operation({
      verb: 'read', path: 'subkeys/*path', access: 'capability', summary: 'Reads the names in a version, without their values',
      fields: { path: pathField, version: versionField, depth: int('How deep to look; 0: all of it.') },
      bareFieldErrors: true,
      run: async (call, { path = '', version = 0, depth = 0 }) => show(call, path, version, (text, info) =>
        ({ subkeys: text === null ? null : namesIn(text, depth), metadata: info }))
    }),
    operation({
      verb: 'write', path: 'data/*path', access: 'capability', summary: 'Writes a new version of a key',
      fields: writeFields, bareFieldErrors: true,
      exists: (call, input) => keys.exists(call, input.path ?? '', input),
      async run (call, input) {
        const text = sentData(call, input.data)
        const expected = expectedVersion(call)
        checkSize(text)
        return written(await keys.change(call, input.path ?? '', input, (loaded) => {
          checkExpected(loaded, expected)
          return nextVersion(call, loaded, text)
        }))
      }
    }),
    operation({
      verb: 'patch', path: 'data/*path', access: 'capability',
      summary: 'Writes a new version that differs from the newest as a merge patch says',
      fields: writeFields, bareFieldErrors: true,
      run: (call, input) => patch(keys, call, input.path ?? '', input, sentData(call, input.data))
    }),
    operation({
      verb: 'delete', path: 'data/*path', access: 'capability', summary: 'Deletes the newest version; it can be undeleted',
      fields: { path: pathField },
      async run (call, input) {
        const { nowMs } = call
        await keys.change(call, input.path ?? '', input, ({ stored }) => {
          const version = stored === null ? null : findVersion(stored.key, 0)
          if (stored === null || version === null || !isReadable(version, nowMs)) return { result: null }
          const { key, text } = stored
          const versions = key.versions.with(-1, { ...version, deletionMs: nowMs })
          return { put: { key: { ...key, plain: false, versions }, text }, result: null }
        })
        return { kind: 'none' }
      }
    })
  ]
}

/** A version, or the empty 404; one that was deleted or destroyed is a 404 that says so. */
async function show (
  call: Call, path: string, number: number, view: (text: string | null, info: JsonObject) => JsonObject
): Promise<Outcome> {
  const found = await readVersion(call, path, number)
  if (found === null) throw notFound()
  const data = view(found.text, versionInfo(found.version, found.key.custom))
  return found.text === null ? { kind: 'data', data, as: 'absent' } : { kind: 'data', data }
}

async function patch (keys: Keys, call: Call, path: string, input: object, patchText: string): Promise<Outcome> {
  const expected = expectedVersion(call)
  const change = parseExact(patchText)
  return written(await keys.change<Written | { readonly absent: JsonObject }>(call, path, input, async (loaded) => {
    const { stored, stamp } = loaded
    const version = stored === null ? null : findVersion(stored.key, 0)
    if (stored === null || version === null) throw notFound()
    if (!isReadable(version, call.nowMs)) return { result: { absent: versionInfo(version, stored.key.custom) } }
    checkExpected(loaded, expected)
    const former = await readText(call, path, { ...stored, stamp }, version)
    const text = JSON.stringify(mergePatch(parseExact(former), change))
    checkSize(text)
    return nextVersion(call, loaded, text)
  }))
}

/** The body's `data`, as it was written. @throws BrokerError where there is none. */
function sentData ({ request: { bodyText } }: Call, data: JsonObject | undefined): string {
  const text = data === undefined || bodyText === null ? null : memberText(bodyText, 'data')
  if (text === null) throw invalidRequest('no data provided')
  return text
}

function expectedVersion ({ request: { bodyText } }: Call): number | null {
  return parseCheckAndSet(bodyText === null ? null : memberText(bodyText, 'options'))
}

function written (result: Written | { readonly absent: JsonObject }): Outcome {
  if ('absent' in result) return { kind: 'data', data: result.absent, as: 'absent' }
  return { kind: 'data', data: versionInfo(result.version, result.key.custom) }
}

/** The names in an object and below it, null in place of every value that is none; `depth` 0 goes all the way. */
function namesIn (text: string, depth: number): JsonObject {
  const data: unknown = JSON.parse(text)
  if (!isJsonObject(data)) throw new BrokerError('failed', 'internal error')
  return namesOf(data, depth)
}

function namesOf (data: JsonObject, depth: number): JsonObject {
  return Object.fromEntries(Object.entries(data).map(([name, value]) =>
    [name, isJsonObject(value) && depth !== 1 ? namesOf(value, depth - 1) : null]))
}
