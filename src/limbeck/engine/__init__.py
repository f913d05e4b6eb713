"""Pre-training, transfer and evaluation."""

from limbeck.engine.application import (
    Transfer,
    Transferred,
    apply_technique,
    begin_transfer,
    check_transfer,
)
from limbeck.engine.calibration import (
    Calibrated,
    Wishes,
    calibrate,
    list_calibrated,
    measure_layouts,
)
from limbeck.engine.case import Case
from limbeck.engine.evaluation import (
    EVALUATION_BATCH,
    Change,
    accuracy,
    class_accuracy,
    count_batches,
    device_of,
    measure_change,
    predict,
    predict_logits,
    tells_better_than_chance,
)
from limbeck.engine.layout import (
    MEMORY_FORMATS,
    PRECISIONS,
    Layout,
    MemoryFormat,
    Precision,
    use_threads,
)
from limbeck.engine.pretraining import pretrain
from limbeck.engine.target_cache import (
    TargetCache,
    default_target_cache,
    hash_inputs,
    identify_logits,
    predict_cached,
)
from limbeck.engine.together import advance_together, count_stack_bytes, is_stack_faster
from limbeck.engine.training import (
    OPTIMIZERS,
    Course,
    Hooks,
    Optimizer,
    Trained,
    Training,
    train,
    warm_up,
)

__all__ = [
    "EVALUATION_BATCH",
    "MEMORY_FORMATS",
    "OPTIMIZERS",
    "PRECISIONS",
    "Calibrated",
    "Case",
    "Change",
    "Course",
    "Hooks",
    "Layout",
    "MemoryFormat",
    "Optimizer",
    "Precision",
    "TargetCache",
    "Trained",
    "Training",
    "Transfer",
    "Transferred",
    "Wishes",
    "accuracy",
    "advance_together",
    "apply_technique",
    "begin_transfer",
    "calibrate",
    "check_transfer",
    "class_accuracy",
    "count_batches",
    "count_stack_bytes",
    "default_target_cache",
    "device_of",
    "hash_inputs",
    "identify_logits",
    "is_stack_faster",
    "list_calibrated",
    "measure_change",
    "measure_layouts",
    "predict",
    "predict_cached",
    "predict_logits",
    "pretrain",
    "tells_better_than_chance",
    "train",
    "use_threads",
    "warm_up",
]
