/** Where entries go. */
export interface AuditDevice {
  /** Its path in the API, without the slash at its end: `file`. */
  readonly name: string
  readonly type: string
  /** As `sys/audit` tells them. */
  readonly options: Readonly<Record<string, string>>
  /**
   * Adds a line, given without its end. Resolves when the kernel has it, or with group sync when it
   * is on the disk. Lines that come one right after the other are written together, in their order.
   * Rejects when it was not written, or not in time; then no entry of it stays behind, except that
   * of a line that was late.
   */
  write (line: string): Promise<void>
  /** Opens its file again, for log rotation. Keeps the open one where that fails, and rejects. */
  reopen (): Promise<void>
  /** Looks whether its file is still there, and makes it anew where not. Call it every 5 s or more often (SEC-271). */
  check (): Promise<void>
  /** Writes what is waiting, then lets go. */
  close (): Promise<void>
}

/** A line that waits to be written, and who waits for it. */
export interface Waiting {
  readonly line: string
  readonly resolve: () => void
  readonly reject: (error: unknown) => void
}
