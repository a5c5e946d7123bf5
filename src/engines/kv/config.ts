import { operation, type MountStore, type Operation } from '../../core/backend.ts'
import { formatDuration } from '../../core/duration.ts'
import { invalidRequest } from '../../core/errors.ts'
import { bool, duration, int, type Field } from '../../core/fields.ts'
import { decodeRecord, encodeRecord } from '../../core/records.ts'
import { retryConflicts } from '../../core/retry.ts'
import type { Entry } from '../../core/store.ts'

/** Settings of a mount that hold for all its keys. */
export interface KvConfig {
  /** 0: not set. */
  readonly maxVersions: number
  readonly casRequired: boolean
  readonly metadataCasRequired: boolean
  /** 0: not set. -1: no version of the mount is ever deleted by time. */
  readonly deleteAfterSeconds: number
}

const emptyConfig: KvConfig = { maxVersions: 0, casRequired: false, metadataCasRequired: false, deleteAfterSeconds: 0 }
const versionsDefault = 10
/** Versions that a key may keep: its record holds a line on each, and every write writes that record. */
const versionsMax = 2000

/** Where a mount's settings are. */
export const configPath = 'config'

/** A mount's settings; where nothing was written, their defaults. */
export function decodeConfig (entry: Entry | null | undefined): KvConfig {
  return entry ? decodeRecord<KvConfig>(entry.value) : emptyConfig
}

const positive = duration('A duration')

/** A duration; a negative one is -1 and stands for "never". */
const durationOrNever: Field<number> = {
  kind: 'duration',
  description: 'After what time a version is deleted; negative: never, for all keys of the mount.',
  parse (raw) {
    if (typeof raw === 'number' && raw < 0) return -1
    const negative = typeof raw === 'string' && raw.trim().startsWith('-')
    return negative ? -Math.min(1, positive.parse(raw.trim().slice(1))) : positive.parse(raw)
  }
}

/** `config` (contract 7.2). */
export function createConfigOperations (): Operation[] {
  return [
    operation({
      verb: 'read', path: 'config', access: 'capability', summary: 'Reads the mount\'s settings for all keys', fields: {},
      async run ({ store }) {
        const [entry] = await store.get([configPath])
        const config = decodeConfig(entry)
        return {
          kind: 'data',
          data: {
            max_versions: config.maxVersions,
            cas_required: config.casRequired,
            metadata_cas_required: config.metadataCasRequired,
            delete_version_after: config.deleteAfterSeconds < 0 ? '-1s' : formatDuration(config.deleteAfterSeconds)
          }
        }
      }
    }),
    operation({
      verb: 'write', path: 'config', access: 'capability', summary: 'Changes some of the mount\'s settings',
      bareFieldErrors: true,
      fields: {
        max_versions: int('Versions that each key keeps; 0: 10.'),
        cas_required: bool('Whether every write has to name the version that it replaces.'),
        metadata_cas_required: bool('Whether every write of metadata has to name their version.'),
        delete_version_after: durationOrNever
      },
      async run (call, input) {
        await updateConfig(call, (config) => ({
          maxVersions: checkMaxVersions(input.max_versions ?? config.maxVersions),
          casRequired: input.cas_required ?? config.casRequired,
          metadataCasRequired: input.metadata_cas_required ?? config.metadataCasRequired,
          deleteAfterSeconds: input.delete_version_after ?? config.deleteAfterSeconds
        }))
        return { kind: 'none' }
      }
    })
  ]
}

function updateConfig (
  { store }: { readonly store: MountStore }, change: (config: KvConfig) => KvConfig
): Promise<void> {
  return retryConflicts(async () => {
    const [entry] = await store.get([configPath])
    const value = encodeRecord(change(decodeConfig(entry)))
    await store.commit([{ op: 'put', key: store.key(configPath), value, expect: entry?.stamp ?? 'absent' }])
  })
}

/** Refuses a number of versions that no key can keep. */
export function checkMaxVersions (count: number): number {
  if (count < 0 || count > versionsMax) throw invalidRequest(`max_versions must be between 0 and ${versionsMax}`)
  return count
}

/** Versions that a key keeps: the larger of both settings, or 10 (contract 7.5). */
export function versionLimit (config: KvConfig, maxVersions: number): number {
  return Math.max(config.maxVersions, maxVersions) || versionsDefault
}

/** When a version made now is deleted, epoch ms: the smaller of both settings that is set; 0: never (contract 7.3). */
export function deletionTime (config: KvConfig, deleteAfterSeconds: number, nowMs: number): number {
  if (config.deleteAfterSeconds < 0) return 0
  const set = [config.deleteAfterSeconds, deleteAfterSeconds].filter((seconds) => seconds > 0)
  return set.length === 0 ? 0 : nowMs + Math.min(...set) * 1000
}
