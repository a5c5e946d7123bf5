import type { Mount } from '../core/model.ts'

/** The mounts, and what callers name them by. */
export interface MountNames {
  all (): Mount[]
  byAccessor (accessor: string): Mount | null
  /** The request prefix that callers use now, without its last slash; null where its key is gone. */
  presentName (mount: Mount): string | null
}
