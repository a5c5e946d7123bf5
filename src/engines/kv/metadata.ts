import { operation, type Call, type Operation } from '../../core/backend.ts'
import { formatDuration } from '../../core/duration.ts'
import { invalidRequest, notFound } from '../../core/errors.ts'
import { bool, duration, int, type Input } from '../../core/fields.ts'
import { isJsonObject, type Json, type JsonObject } from '../../core/json.ts'
import { checkMaxVersions } from './config.ts'
import { parseCustomMetadata } from './custom-metadata.ts'
import { pathField, sentObject } from './fields.ts'
import { deleteData, newKey, timeText, versionState, type KvKey } from './key-record.ts'
import { readKey, type Keys, type Loaded, type Step } from './keys.ts'
import { listDetails, listFields, listings, listNames } from './list.ts'
import { mergePatch } from './merge-patch.ts'
import { removedMax, without } from './write.ts'

const writeFields = {
  path: pathField,
  max_versions: int('Versions that the key keeps; 0: as the mount says.'),
  cas_required: bool('Whether every write has to name the version that it replaces.'),
  delete_version_after: duration('After what time a version is deleted; 0: as the mount says.'),
  custom_metadata: sentObject('Up to 64 texts for whoever reads the key.'),
  metadata_cas: int('The version of the metadata that this write replaces.'),
  metadata_cas_required: bool('Whether every write of metadata has to name their version.')
}

type Settings = Input<typeof writeFields>

/** `metadata/<path>` and `detailed-metadata/<path>` (contract 7.5). */
export function createMetadataOperations (keys: Keys): Operation[] {
  return [
    operation({
      verb: 'read', path: 'metadata/*path', access: 'capability', summary: 'Reads what is known of a key and its versions',
      fields: { path: pathField },
      async run (call, { path = '' }) {
        const found = await readKey(call, path)
        if (found === null) throw notFound()
        return { kind: 'data', data: keyInfo(found.key) }
      }
    }),
    operation({
      verb: 'write', path: 'metadata/*path', access: 'capability',
      summary: 'Changes some settings of a key, or makes one without versions',
      fields: writeFields, bareFieldErrors: true,
      exists: (call, input) => keys.exists(call, input.path ?? '', input),
      async run (call, input) {
        const custom = input.custom_metadata === undefined ? undefined : parseCustomMetadata(input.custom_metadata)
        await keys.change(call, input.path ?? '', input, (loaded) =>
          configured(loaded, loaded.stored?.key ?? newKey(call.nowMs), input, custom, call))
        return { kind: 'none' }
      }
    }),
    operation({
      verb: 'patch', path: 'metadata/*path', access: 'capability',
      summary: 'Changes some settings of a key, and its custom metadata as a merge patch says',
      fields: writeFields, bareFieldErrors: true,
      async run (call, input) {
        await keys.change(call, input.path ?? '', input, (loaded) => {
          if (loaded.stored === null) throw notFound()
          const { key } = loaded.stored
          return configured(loaded, key, input, patchedCustom(key.custom, call.request.data['custom_metadata']), call)
        })
        return { kind: 'none' }
      }
    }),
    operation({
      verb: 'delete', path: 'metadata/*path', access: 'capability', summary: 'Removes a key with all its versions, for ever',
      fields: { path: pathField },
      async run (call, input) {
        await keys.change(call, input.path ?? '', input, (loaded) => removed(call, loaded))
        return { kind: 'none' }
      }
    }),
    ...listOperations()
  ]
}

function listOperations (): Operation[] {
  return ['', '/*path'].flatMap((rest) => listings.flatMap(({ verb, what, folders }) => [
    operation({
      verb, path: `metadata${rest}`, access: 'capability', summary: what, fields: listFields, bareFieldErrors: true,
      run: async (call, input) => ({ kind: 'data', data: { keys: await listNames(call, input, folders) } })
    }),
    operation({
      verb, path: `detailed-metadata${rest}`, access: 'capability', summary: `${what}, with what is known of the keys`,
      fields: listFields, bareFieldErrors: true,
      run: async (call, input) => ({ kind: 'data', data: await listDetails(call, input, folders, keyInfo) })
    })
  ]))
}

/** A key as its metadata are read. */
function keyInfo (key: KvKey): JsonObject {
  return {
    versions: Object.fromEntries(key.versions.map((version) => [String(version.number), versionState(version)])),
    current_version: key.current,
    oldest_version: key.oldest,
    created_time: timeText(key.createdMs),
    updated_time: timeText(key.updatedMs),
    max_versions: key.maxVersions,
    cas_required: key.casRequired,
    delete_version_after: formatDuration(key.deleteAfterSeconds),
    custom_metadata: key.custom,
    current_metadata_version: key.metadataVersion,
    metadata_cas_required: key.metadataCasRequired
  }
}

function configured (
  { stored, config }: Loaded, key: KvKey, input: Settings, custom: KvKey['custom'] | undefined, { nowMs }: Pick<Call, 'nowMs'>
): Step<null> {
  const expected = input.metadata_cas
  if (expected === undefined && (config.metadataCasRequired || key.metadataCasRequired)) {
    throw invalidRequest('metadata check-and-set parameter required for this call')
  }
  if (expected !== undefined && expected !== key.metadataVersion) {
    throw invalidRequest('metadata check-and-set parameter does not match the current version')
  }
  return {
    put: {
      key: {
        ...key,
        plain: false,
        updatedMs: nowMs,
        maxVersions: checkMaxVersions(input.max_versions ?? key.maxVersions),
        casRequired: input.cas_required ?? key.casRequired,
        deleteAfterSeconds: input.delete_version_after ?? key.deleteAfterSeconds,
        custom: custom === undefined ? key.custom : custom,
        metadataVersion: key.metadataVersion + 1,
        metadataCasRequired: input.metadata_cas_required ?? key.metadataCasRequired
      },
      text: stored?.text ?? null
    },
    result: null
  }
}

/** The key goes with the data of all its versions; of very many, the oldest go before. */
export function removed ({ store }: Pick<Call, 'store'>, { stored }: Loaded): Step<null> {
  if (stored === null) return { result: null }
  const { key } = stored
  if (key.versions.length <= removedMax) {
    return { put: null, beside: deleteData(store, key.life, key.versions), result: null }
  }
  return { ...without(store, stored, key.versions.slice(0, removedMax)), result: null, unfinished: true }
}

/** Custom metadata after a merge patch of them; undefined where there is none. */
function patchedCustom (custom: KvKey['custom'], patch: Json | undefined): KvKey['custom'] | undefined {
  if (patch === undefined) return undefined
  const patched = mergePatch(custom ?? {}, patch)
  return isJsonObject(patched) ? parseCustomMetadata(patched) : null
}
