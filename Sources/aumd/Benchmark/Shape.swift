import ArgumentParser
import AudioMamba
import Foundation

/// The published sizes of Audio Mamba, with random weights: what a converted checkpoint of that size costs.
enum Shape: String, CaseIterable, ExpressibleByArgument {
    case tiny, small, base

    /// D.
    private var modelWidth: Int {
        switch self {
        case .tiny: 192
        case .small: 384
        case .base: 768
        }
    }

    /// A streaming Fo-Bi model of 24 layers and 527 labels.
    ///
    /// - Throws: ``Failure``; never in practice.
    func model(storage: WeightStorage) throws(Failure) -> Model {
        let names = (0..<527).map { "\"\($0)\":\"label \($0)\"" }.joined(separator: ",")
        let mids = (0..<527).map { "\"/m/\($0)\"" }.joined(separator: ",")
        let json = """
            {"model_type":"audio-mamba","name":"\(rawValue)","variant":"fo-bi","d_model":\(modelWidth),"n_layer":24,
            "d_state":16,"d_conv":4,"expand":2,"dt_rank":\(modelWidth / 16),"norm_eps":1e-5,"num_classes":527,
            "token_order":"time-major","position":"frequency","pooling":"column","dual_mode":true,"patch_mel":16,
            "patch_frames":16,"clip_frames":null,"frontend":{"sample_rate":16000,"frame_length":400,"hop_length":160,
            "n_fft":512,"n_mels":128,"f_min":20,"f_max":8000,"preemphasis":0.97},
            "normalization":{"mean":-4.27,"std":4.57},"streaming":{"chunk":8,"lookahead":16},
            "id2label":{\(names)},"mids":[\(mids)]}
            """
        do throws(ModelError) {
            let configuration = try Configuration(json: Data(json.utf8), origin: "the shape \(rawValue)")
            let weights = RandomWeights(seed: 1, layerCount: 24, convolutionWidth: 4)
            return try Model(configuration: configuration, source: weights, storage: storage)
        } catch { throw Failure(error) }
    }
}
