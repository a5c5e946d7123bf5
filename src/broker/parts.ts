import type { AuthMethod, Backend, Engine } from '../core/backend.ts'
import type { Mount } from '../core/model.ts'
import type { OperationTable } from './operation-table.ts'

/** A backend with its table. */
export interface Registered {
  readonly backend: Backend | Engine | AuthMethod
  readonly table: OperationTable
}

/** Finds the backend of a mount, by its type and the options that choose between two. */
export type Backends = (mount: Pick<Mount, 'type' | 'options'>) => Registered | null
