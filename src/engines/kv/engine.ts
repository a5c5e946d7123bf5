import { operation, type Backend, type Operation } from '../../core/backend.ts'
import { BrokerError, invalidRequest } from '../../core/errors.ts'
import type { Mount } from '../../core/model.ts'
import { createConfigOperations } from './config.ts'
import { createDataOperations } from './data.ts'
import { pathField } from './fields.ts'
import { hintFor } from './hints.ts'
import { createKeptKeys, type KeptKeys } from './kept.ts'
import { createKeys } from './keys.ts'
import { listings } from './list.ts'
import { createMetadataOperations } from './metadata.ts'
import { createPlainOperations } from './plain.ts'
import { createVersionOperations } from './versions.ts'

/** Both versions of the engine; which one a mount has is an option of it. */
export interface KvEngine {
  readonly plain: Backend
  readonly versioned: Backend
  readonly kept: KeptKeys
}

/** Other names of the type, each with the options that it stands for (contract 5.1). */
export const kvAliases: ReadonlyMap<string, Readonly<Record<string, string>>> = new Map([
  ['kv-v1', { version: '1' }], ['kv-v2', { version: '2' }]
])

/** Whether a mount keeps versions of its keys (contract 7). */
export function isVersioned ({ options }: Pick<Mount, 'options'>): boolean {
  return options?.['version'] === '2'
}

/** Keys and values, kept sealed: version 1 with one value for each key, version 2 with their history (contract 7). */
export function createKvEngine (): KvEngine {
  const keys = createKeys()
  const both = { type: 'kv', checkOptions } as const
  return {
    plain: { ...both, description: 'Keeps keys and values', operations: createPlainOperations(keys) },
    versioned: {
      ...both,
      description: 'Keeps keys and the versions of their values',
      operations: [
        ...createConfigOperations(),
        ...createDataOperations(keys),
        ...createVersionOperations(keys),
        ...createMetadataOperations(keys),
        ...['data', 'subkeys', 'delete', 'undelete', 'destroy'].flatMap(refusedLists)
      ],
      fallback: hintFor
    },
    kept: createKeptKeys(keys)
  }
}

/** Paths that exist and cannot be listed (contract 7.3). */
function refusedLists (root: string): Operation[] {
  return [root, `${root}/*path`].flatMap((path) => listings.map(({ verb }) => operation({
    verb, path, access: 'capability', summary: 'Cannot be listed: keys are listed below metadata/', fields: { path: pathField },
    run () { throw new BrokerError('unsupported_operation', 'unsupported operation') }
  })))
}

/** A mount's version is raised and never lowered; what it holds stays (contract 5.3). */
function checkOptions (options: Mount['options'], former: Pick<Mount, 'options'> | null): readonly string[] {
  const version = options?.['version'] ?? '1'
  if (version !== '1' && version !== '2') throw invalidRequest(`invalid version provided: ${version}`)
  if (former === null || isVersioned(former) === (version === '2')) return []
  if (version === '1') throw invalidRequest('cannot downgrade mount from version 2')
  return ['Upgrading mount from version 1 to version 2. All keys are kept, each with its value as version 1.']
}
