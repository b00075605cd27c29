/** All fuzz targets. */
import { ringBits, ringFiles } from './ring-files.ts'
import { type Runnable, runnable } from './target.ts'

export const TARGETS: readonly Runnable[] = [runnable(ringFiles), runnable(ringBits)]
